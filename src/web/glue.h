/* glue.h - the seam: what the parts above call of civetweb, which is compiled
 * last. Its functions are in glue.c.
 */
#ifndef AD_WEB_GLUE_H
#define AD_WEB_GLUE_H

/* Start civetweb and its workers; the listeners are the acceptor's. False if it
 * can't start its threads. */
static bool ad_civetweb_start(void);
static void ad_civetweb_stop(void);

#endif
