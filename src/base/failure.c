/* failure.c - the sentence about the start that failed. Owns ad_failure. The starting
 * thread only.
 */
#ifndef AD_BASE_FAILURE_C
#define AD_BASE_FAILURE_C

#include "memory.h"
#include "platform.h"

/* What aidash_last_error() returns; "": the last start went well. */
static struct {
    char text[512];
} ad_failure;

/* Note what is wrong, as printf does; returns `code`. An error of an option begins
 * with the option's name and a colon. */
static int AD_PRINTF(2, 3) ad_fail(int code, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(ad_failure.text, sizeof(ad_failure.text), fmt, args);
    va_end(args);
    return code;
}

AD_MEMORY(failure, 1, sizeof(ad_failure));

#endif
