/* qr.c - QR codes (ISO/IEC 18004), by Project Nayuki's qrcodegen, and their picture as SVG.
 * Pure: a table of modules in the caller's memory. That library allocates nothing either.
 */
#ifndef AD_CODEC_QR_C
#define AD_CODEC_QR_C

#include "../base/text.c"

#if AIDASH_QR || !defined(AIDASH_NO_MAIN)

/* Declared static here, the functions stay so where they are defined (C11 6.2.2): none of
 * them leaves the object file. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wold-style-declaration"
#endif
#define qrcodegen_encodeText static qrcodegen_encodeText
#define qrcodegen_encodeBinary static qrcodegen_encodeBinary
#define qrcodegen_encodeSegments static qrcodegen_encodeSegments
#define qrcodegen_encodeSegmentsAdvanced static qrcodegen_encodeSegmentsAdvanced
#define qrcodegen_isNumeric static qrcodegen_isNumeric
#define qrcodegen_isAlphanumeric static qrcodegen_isAlphanumeric
#define qrcodegen_calcSegmentBufferSize static qrcodegen_calcSegmentBufferSize
#define qrcodegen_makeBytes static qrcodegen_makeBytes
#define qrcodegen_makeNumeric static qrcodegen_makeNumeric
#define qrcodegen_makeAlphanumeric static qrcodegen_makeAlphanumeric
#define qrcodegen_makeEci static qrcodegen_makeEci
#define qrcodegen_getSize static qrcodegen_getSize
#define qrcodegen_getModule static qrcodegen_getModule
#include <qrcodegen.h>
#undef qrcodegen_encodeText
#undef qrcodegen_encodeBinary
#undef qrcodegen_encodeSegments
#undef qrcodegen_encodeSegmentsAdvanced
#undef qrcodegen_isNumeric
#undef qrcodegen_isAlphanumeric
#undef qrcodegen_calcSegmentBufferSize
#undef qrcodegen_makeBytes
#undef qrcodegen_makeNumeric
#undef qrcodegen_makeAlphanumeric
#undef qrcodegen_makeEci
#undef qrcodegen_getSize
#undef qrcodegen_getModule
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

#include <qrcodegen.c>

enum {
    AD_QR_VERSION_MAX = 15, /* 77 modules a side */
    AD_QR_TEXT_MAX = 412,   /* bytes of a text that fit at level M (ISO/IEC 18004, table 7) */
    AD_QR_QUIET = 4,        /* modules of light around it (6.3.8) */
    AD_QR_BYTES = qrcodegen_BUFFER_LEN_FOR_VERSION(AD_QR_VERSION_MAX),
    AD_QR_SIDE_MAX = 4 * AD_QR_VERSION_MAX + 17,
    /* Bytes of a piece of the SVG: every second module dark, each "m1 0h1", and where the
     * row begins. */
    AD_QR_PIECE_MAX = 200 + 6 * (AD_QR_SIDE_MAX / 2 + 1)
};

struct ad_qr {
    int side; /* modules */
    uint8_t code[AD_QR_BYTES];
};

/* False if the text is too long: longer than AD_QR_TEXT_MAX. */
static bool ad_qr_make(struct ad_qr *qr, const char *text)
{
    uint8_t work[AD_QR_BYTES];

    if (!qrcodegen_encodeText(text, work, qr->code, qrcodegen_Ecc_MEDIUM,
                              qrcodegen_VERSION_MIN, AD_QR_VERSION_MAX,
                              qrcodegen_Mask_AUTO, true)) {
        return false;
    }
    qr->side = qrcodegen_getSize(qr->code);
    return true;
}

#endif

#if AIDASH_QR

/* How many pieces the SVG has. */
static int ad_qr_pieces(const struct ad_qr *qr)
{
    return qr->side + 2;
}

/* Put a piece of the SVG, 0 and up, of at most AD_QR_PIECE_MAX bytes. Dark on light
 * whatever is around it, as readers need it; no script, nothing from elsewhere. */
static void ad_qr_put_svg(struct ad_text *t, const struct ad_qr *qr, int piece)
{
    int all = qr->side + 2 * AD_QR_QUIET, y = piece - 1, x, end = 0;

    if (piece == 0) {
        ad_putf(t,
                "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" "
                "shape-rendering=\"crispEdges\"><rect width=\"%d\" height=\"%d\" "
                "fill=\"#fff\"/><path stroke=\"#000\" d=\"", all, all, all, all);
        return;
    }
    if (y == qr->side) {
        ad_puts(t, "\"/></svg>\n");
        return;
    }
    for (x = 0; x < qr->side; x++) {
        int from = x;

        while (qrcodegen_getModule(qr->code, x, y)) {
            x++;
        }
        if (x == from) {
            continue;
        }
        if (end == 0) {
            ad_putf(t, "M%d %d.5h%d", from + AD_QR_QUIET, y + AD_QR_QUIET, x - from);
        } else {
            ad_putf(t, "m%d 0h%d", from - end, x - from);
        }
        end = x;
    }
}

#endif

#endif
