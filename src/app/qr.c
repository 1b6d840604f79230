/* qr.c - QR codes on a terminal, by Project Nayuki's qrcodegen. The main thread of a
 * command. Owns nothing. That library allocates nothing either.
 */
#ifndef AD_APP_QR_C
#define AD_APP_QR_C

#include "../base/text.c"

#ifndef AIDASH_NO_MAIN

#include <qrcodegen.c>

enum {
    AD_QR_VERSION_MAX = 10, /* 213 bytes at level M (ISO 18004, table 7) */
    AD_QR_QUIET = 4,        /* modules of light around it (ISO 18004, 6.3.8) */
    AD_QR_BYTES = qrcodegen_BUFFER_LEN_FOR_VERSION(AD_QR_VERSION_MAX)
};

/* Two rows of modules are a line: of each character the upper half is one, and the
 * lower half the other. Light ones are drawn, in white on black where the terminal
 * has colours. False if the text is too long. */
static bool ad_qr_print(FILE *out, const char *text, bool coloured)
{
    static const char *const halves[] = {" ", "\xE2\x96\x84", "\xE2\x96\x80",
                                         "\xE2\x96\x88"}; /* none, lower, upper, both */
    uint8_t code[AD_QR_BYTES], work[AD_QR_BYTES];
    int size, x, y;

    if (!qrcodegen_encodeText(text, work, code, qrcodegen_Ecc_MEDIUM,
                              qrcodegen_VERSION_MIN, AD_QR_VERSION_MAX,
                              qrcodegen_Mask_AUTO, true)) {
        return false;
    }
    size = qrcodegen_getSize(code);
    for (y = -AD_QR_QUIET; y < size + AD_QR_QUIET; y += 2) {
        (void)fputs(coloured ? "\x1b[97;40m" : "", out);
        for (x = -AD_QR_QUIET; x < size + AD_QR_QUIET; x++) {
            bool upper = !qrcodegen_getModule(code, x, y);
            bool lower = !qrcodegen_getModule(code, x, y + 1);

            (void)fputs(halves[(upper ? 2 : 0) + (lower ? 1 : 0)], out);
        }
        (void)fputs(coloured ? "\x1b[0m\n" : "\n", out);
    }
    return true;
}

#endif /* AIDASH_NO_MAIN */

#endif
