/* SHA-256: the examples of NIST (FIPS 180-4: its sample messages, the long one),
 * and the lengths at which the padding changes. */
#include "../src/base/sha256.c"
#include "check.h"

static const char *hex_of(const void *bytes, size_t len)
{
    static char text[2 * AD_SHA256_BYTES + 1];
    uint8_t digest[AD_SHA256_BYTES];
    void *copy = check_copy(bytes, len);
    unsigned i;

    ad_sha256(copy, len, digest);
    for (i = 0; i < AD_SHA256_BYTES; i++) {
        (void)snprintf(text + 2 * i, 3, "%02x", digest[i]);
    }
    free(copy);
    return text;
}

static void test_examples(void)
{
    static const struct {
        const char *message, *digest;
    } rows[] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
        {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmno"
         "ijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
         "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"}};
    static char million[1000000];
    unsigned i;

    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        CHECK_STR(hex_of(rows[i].message, strlen(rows[i].message)),
                  rows[i].digest);
    }
    memset(million, 'a', sizeof(million));
    CHECK_STR(hex_of(million, sizeof(million)),
              "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

/* Lengths at which the padding changes: digests by coreutils' sha256sum. */
static void test_lengths(void)
{
    static const struct {
        size_t len;
        const char *digest;
    } rows[] = {
        {55, "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318"},
        {56, "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a"},
        {63, "7d3e74a05d7db15bce4ad9ec0658ea98e3f06eeecf16b4c6fff2da457ddc2f34"},
        {64, "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb"},
        {65, "635361c48bb9eab14198e76ea8ab7f1a41685d6ad62aa9146d301d4f17eb0ae0"}};
    char text[65];
    unsigned i;

    memset(text, 'a', sizeof(text));
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        CHECK_STR(hex_of(text, rows[i].len), rows[i].digest);
    }
}

int main(void)
{
    test_examples();
    test_lengths();
    return check_report();
}
