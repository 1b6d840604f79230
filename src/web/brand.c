/* brand.c - what the page shows of the program that embeds aidash: its title, its logo,
 * a panel of its own.
 * Owns ad_brand, which is set while starting; any thread afterwards.
 */
#ifndef AD_WEB_BRAND_C
#define AD_WEB_BRAND_C

#include "../codec/utf8.c"
#include "routes.c"

static struct {
    char title[AIDASH_TITLE_MAX + 1];                            /* [I] "": aidash */
    char logo[AIDASH_PATH_MAX + 1], panel[AIDASH_PATH_MAX + 1]; /* [I] "": none */
} ad_brand;

enum {
    /* Bytes of its JSON: each byte of a text may become an escape of 6. */
    AD_BRAND_JSON_MAX = 64 + 6 * (AIDASH_TITLE_MAX + 2 * AIDASH_PATH_MAX)
};

/* Before each run. */
static void ad_brand_init(void)
{
    memset(&ad_brand, 0, sizeof(ad_brand));
}

/* False if it is no title. */
static bool ad_brand_set_title(const char *title)
{
    size_t len = strlen(title);

    if (!ad_name_ok(title, len, AIDASH_TITLE_MAX)) {
        return false;
    }
    memcpy(ad_brand.title, title, len + 1);
    return true;
}

/* A path of the program's own, or of aidash, into `out`. False if it is none. */
static bool ad_brand_set_path(char out[AIDASH_PATH_MAX + 1], const char *path)
{
    size_t len = strlen(path);

    if (len > AIDASH_PATH_MAX || !ad_route_is_own(ad_slice_of(path))) {
        return false;
    }
    memcpy(out, path, len + 1);
    return true;
}

/* As a member of /status, with a comma in front; nothing if there is nothing. */
static void ad_put_brand(struct ad_text *t)
{
    const struct {
        const char *name, *value;
    } members[] = {
        {"title", ad_brand.title}, {"logo", ad_brand.logo}, {"panel", ad_brand.panel}};
    const char *before = ",\"page\":{";
    size_t i;

    for (i = 0; i < AD_COUNT(members); i++) {
        if (members[i].value[0] != '\0') {
            ad_putf(t, "%s\"%s\":", before, members[i].name);
            ad_put_string(t, members[i].value);
            before = ",";
        }
    }
    ad_puts(t, before[1] == '\0' ? "}" : "");
}

#endif
