/* qr.c - QR codes on a terminal. The main thread of a command. Owns nothing. */
#ifndef AD_APP_QR_C
#define AD_APP_QR_C

#include "../codec/qr.c"

#ifndef AIDASH_NO_MAIN

/* Two rows of modules are a line: of each character the upper half is one, and the
 * lower half the other. Light ones are drawn, in white on black where the terminal
 * has colours. False if the text is too long. */
static bool ad_qr_print(FILE *out, const char *text, bool coloured)
{
    static const char *const halves[] = {" ", "\xE2\x96\x84", "\xE2\x96\x80",
                                         "\xE2\x96\x88"}; /* none, lower, upper, both */
    struct ad_qr qr;
    int x, y;

    if (!ad_qr_make(&qr, text)) {
        return false;
    }
    for (y = -AD_QR_QUIET; y < qr.side + AD_QR_QUIET; y += 2) {
        (void)fputs(coloured ? "\x1b[97;40m" : "", out);
        for (x = -AD_QR_QUIET; x < qr.side + AD_QR_QUIET; x++) {
            bool upper = !qrcodegen_getModule(qr.code, x, y);
            bool lower = !qrcodegen_getModule(qr.code, x, y + 1);

            (void)fputs(halves[(upper ? 2 : 0) + (lower ? 1 : 0)], out);
        }
        (void)fputs(coloured ? "\x1b[0m\n" : "\n", out);
    }
    return true;
}

#endif /* AIDASH_NO_MAIN */

#endif
