/* civetweb_api.h - civetweb as it is built here: without files, CGI and TLS, every
 * function of it static, so that nothing but aidash_* leaves the object.
 */
#ifndef AD_WEB_CIVETWEB_API_H
#define AD_WEB_CIVETWEB_API_H

#include "../base/platform.h"

#define CIVETWEB_API static
#define NO_SSL
#define NO_CGI
#define NO_FILES
#define NO_CACHING
#define NUM_WEBDAV_LOCKS 0 /* 16 kB each in 1.16, for files alone */
#define USE_WEBSOCKET
#define USE_IPV6
#define STOP_FLAG_NEEDS_LOCK /* its stop flag is atomic */
/* How long its threads may sleep before they see a stop, in milliseconds. */
#define SOCKET_TIMEOUT_QUANTUM 200
#include <civetweb.h>

#endif
