/* text.c - text built in buffers of fixed size. Pure. */
#ifndef AD_BASE_TEXT_C
#define AD_BASE_TEXT_C

#include "platform.h"

/* Text built in a buffer of fixed size. What does not fit is left out, and
 * `full` says so. */
struct ad_text {
    char *at;
    size_t len, cap;
    bool full;
};

/* An empty text in `buffer`, which the caller owns. */
static struct ad_text ad_text_in(void *buffer, size_t cap)
{
    struct ad_text text = {buffer, 0, cap, false};

    return text;
}

static void ad_put(struct ad_text *t, const char *s, size_t len)
{
    if (len > t->cap - t->len) {
        t->full = true;
        return;
    }
    memcpy(t->at + t->len, s, len);
    t->len += len;
}

static void ad_puts(struct ad_text *t, const char *s)
{
    ad_put(t, s, strlen(s));
}

/* printf(), for text that is not on the tick path. It needs one byte more than
 * the text has. */
static void AD_PRINTF(2, 3) ad_putf(struct ad_text *t, const char *fmt, ...)
{
    va_list args;
    int n;

    va_start(args, fmt);
    n = vsnprintf(t->at + t->len, t->cap - t->len, fmt, args);
    va_end(args);
    if (n < 0 || (size_t)n >= t->cap - t->len) {
        t->full = true;
        return;
    }
    t->len += (size_t)n;
}

static void ad_put_u64(struct ad_text *t, uint64_t value)
{
    char digits[20];
    size_t n = sizeof(digits);

    do {
        digits[--n] = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    ad_put(t, digits + n, sizeof(digits) - n);
}

/* Seconds as people read them: 45 s, 12 min, 3 h. */
static AD_UNUSED void ad_put_span_s(struct ad_text *t, uint64_t s)
{
    ad_put_u64(t, s < 120 ? s : s < 7200 ? s / 60 : s / 3600);
    ad_puts(t, s < 120 ? " s" : s < 7200 ? " min" : " h");
}

/* units / 10^decimals, without trailing zeros. decimals: 0..7. */
static void ad_put_decimal(struct ad_text *t, uint64_t units, int decimals)
{
    uint64_t scale = 1;
    char digits[8];
    size_t n = 0;
    int i;

    for (i = 0; i < decimals; i++) {
        scale *= 10;
    }
    ad_put_u64(t, units / scale);
    units %= scale;
    if (units == 0) {
        return;
    }
    digits[n++] = '.';
    while (units != 0) {
        scale /= 10;
        digits[n++] = (char)('0' + units / scale);
        units %= scale;
    }
    ad_put(t, digits, n);
}

#define AD_FIXED_MAX 9e18 /* below 2^63: a double that uint64_t can hold */

/* value >= 0, rounded to 10^-decimals. A value below 0 and NaN are written as
 * 0; value x 10^decimals above AD_FIXED_MAX is written as that limit. */
static void ad_put_fixed(struct ad_text *t, double value, int decimals)
{
    double scale = 1, units;
    int i;

    for (i = 0; i < decimals; i++) {
        scale *= 10;
    }
    units = value * scale;
    if (!(units > 0)) {
        units = 0; /* NaN, too */
    }
    if (units > AD_FIXED_MAX) {
        units = AD_FIXED_MAX;
    }
    ad_put_decimal(t, (uint64_t)(units + 0.5), decimals);
}

/* A finite number as printf() wrote it with %g, in the locale's form: whatever its
 * decimal point is, it becomes a dot. */
static void ad_put_printed(struct ad_text *t, const char *text)
{
    bool point = false;
    size_t i;

    for (i = 0; text[i] != '\0'; i++) {
        char c = text[i];

        if ((c >= '0' && c <= '9') || c == '-' || c == '+' || c == 'e') {
            ad_put(t, &c, 1);
        } else if (!point) {
            point = true;
            ad_puts(t, ".");
        }
    }
}

/* A finite number in the form of RFC 8259 6, with 12 significant digits. */
static void ad_put_double(struct ad_text *t, double value)
{
    char text[40];

    (void)snprintf(text, sizeof(text), "%.12g", value);
    ad_put_printed(t, text);
}

/* RFC 8259 7: the text of a JSON string, without its quotes. */
static void ad_put_escaped(struct ad_text *t, const char *s, size_t len)
{
    static const char hex[] = "0123456789abcdef";
    char escape[6] = {'\\', 'u', '0', '0', 0, 0};
    size_t i;

    for (i = 0; i < len; i++) {
        unsigned char c = (unsigned char)s[i];

        if (c == '"' || c == '\\') {
            escape[1] = (char)c;
            ad_put(t, escape, 2);
            escape[1] = 'u';
        } else if (c < 0x20) {
            escape[4] = hex[c >> 4];
            escape[5] = hex[c & 15];
            ad_put(t, escape, 6);
        } else {
            ad_put(t, s + i, 1);
        }
    }
}

/* A JSON string (RFC 8259 7) of a C string in UTF-8. */
static void ad_put_string(struct ad_text *t, const char *s)
{
    ad_put(t, "\"", 1);
    ad_put_escaped(t, s, strlen(s));
    ad_put(t, "\"", 1);
}

#endif
