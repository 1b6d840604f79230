/* config_list.c - comma-separated lists in the configuration, and how an error shows
 * a wrong value. The starting thread. Owns nothing.
 */
#ifndef AD_APP_CONFIG_LIST_C
#define AD_APP_CONFIG_LIST_C

#include "../base/failure.c"

enum { AD_SHOWN_MAX = 100 }; /* bytes of a wrong value that an error shows */

/* How much of a wrong value an error shows. */
static int ad_shown(size_t len)
{
    return len < AD_SHOWN_MAX ? (int)len : AD_SHOWN_MAX;
}

/* Take the next item from a comma-separated list, without the blanks around it.
 * *list is NULL at the list's end; then this returns false. */
static bool ad_list_next(const char **list, const char **item, size_t *len)
{
    const char *s = *list, *comma;

    if (s == NULL) {
        return false;
    }
    comma = strchr(s, ',');
    *list = comma != NULL ? comma + 1 : NULL;
    s += strspn(s, " \t");
    *len = strcspn(s, ",");
    while (*len > 0 && (s[*len - 1] == ' ' || s[*len - 1] == '\t')) {
        (*len)--;
    }
    *item = s;
    return true;
}

/* A comma-separated list, each item of which a part takes or refuses. `what` is
 * what an item must be. */
static int ad_configure_list(const char *list, const char *option,
                             const char *what, int most,
                             bool (*add)(const char *item, size_t len))
{
    const char *item;
    size_t len;

    while (ad_list_next(&list, &item, &len)) {
        if (!add(item, len)) {
            return ad_fail(AIDASH_EINVAL,
                           "%s: '%.*s' is not %s; there may be %d", option,
                           ad_shown(len), item, what, most);
        }
    }
    return 0;
}

#endif
