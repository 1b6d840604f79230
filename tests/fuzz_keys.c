/* The key file. What is taken is written again as text that means the same, and no
 * two keys of it are one. */
#include "../src/guard/keys.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct ad_key_table table, again;
    static char text[AD_KEYS_TEXT_MAX];
    struct ad_text t = ad_text_in(text, sizeof(text));
    unsigned i, k, line;

    memset(&table, 0, sizeof(table));
    memset(&again, 0, sizeof(again));
    if (ad_keys_parse((const char *)data, size, &table, &line) != NULL) {
        return 0;
    }
    for (i = 0; i < table.n; i++) {
        const struct ad_key *key = &table.list[i];

        if (key->number == 0 || key->number >= table.next || key->rights == 0 ||
            key->rights > AD_MAY_ALL ||
            !ad_name_ok(key->name, strlen(key->name), AD_GRANT_NAME_MAX)) {
            __builtin_trap();
        }
        for (k = 0; k < i; k++) {
            if (table.list[k].number == key->number) {
                __builtin_trap();
            }
        }
    }
    ad_keys_put(&t, &table);
    if (t.full || ad_keys_parse(text, t.len, &again, &line) != NULL ||
        memcmp(&table, &again, sizeof(table)) != 0) {
        __builtin_trap();
    }
    return 0;
}
