/* date.c - Unix times as RFC 3339 writes them, in UTC, to the second. Pure. */
#ifndef AD_BASE_DATE_C
#define AD_BASE_DATE_C

#include "decimal.c"
#include "text.c"

enum { AD_DATE_LEN = 20 }; /* 2026-11-26T19:51:21Z */
#define AD_DATE_MAX_S 253402300799 /* 9999-12-31T23:59:59Z */

/* Days from 1970-01-01 to a day of the Gregorian calendar, from 1970 on: the years
 * begin in March, so that the leap day is their last. */
static int64_t ad_date_days(int64_t year, int64_t month, int64_t day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t m = month <= 2 ? month + 9 : month - 3; /* March is 0 */

    return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 -
           719468;
}

/* time_s: 0..AD_DATE_MAX_S. */
static void ad_put_date(struct ad_text *t, int64_t time_s)
{
    int64_t days = time_s / 86400, s = time_s % 86400;
    int64_t year = 1970 + days / 366, month = 1;

    while (ad_date_days(year + 1, 1, 1) <= days) {
        year++;
    }
    while (month < 12 && ad_date_days(year, month + 1, 1) <= days) {
        month++;
    }
    ad_putf(t, "%04d-%02d-%02dT%02d:%02d:%02dZ", (int)year, (int)month,
            (int)(days - ad_date_days(year, month, 1)) + 1, (int)(s / 3600),
            (int)(s / 60 % 60), (int)(s % 60));
}

/* s[0..len), in the form that ad_put_date() writes. False if it has another one, or
 * there is no such day or time. */
static bool ad_date_parse(const char *s, size_t len, int64_t *time_s)
{
    static const char form[] = "0000-00-00T00:00:00Z";
    uint64_t part[6]; /* year, month, day, hour, minute, second */
    int64_t days;
    size_t i, k = 0, from = 0;

    if (len != AD_DATE_LEN) {
        return false;
    }
    for (i = 0; i < len; i++) {
        if (form[i] == '0') {
            continue;
        }
        if (s[i] != form[i] ||
            !ad_decimal_u64(s + from, i - from, 9999, &part[k++])) {
            return false;
        }
        from = i + 1;
    }
    if (part[0] < 1970 || part[1] < 1 || part[1] > 12 || part[2] < 1 ||
        part[2] > 31 || part[3] > 23 || part[4] > 59 || part[5] > 59) {
        return false;
    }
    days = ad_date_days((int64_t)part[0], (int64_t)part[1], (int64_t)part[2]);
    if (days >= ad_date_days((int64_t)(part[1] == 12 ? part[0] + 1 : part[0]),
                             (int64_t)(part[1] == 12 ? 1 : part[1] + 1), 1)) {
        return false; /* the month has no such day */
    }
    *time_s = days * 86400 + (int64_t)(part[3] * 3600 + part[4] * 60 + part[5]);
    return true;
}

#endif
