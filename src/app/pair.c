/* pair.c - `aidash pair`: a one-time code for a device, by way of a running server.
 * The main thread; owns nothing. How the code gets there: guard/pairing.c.
 */
#ifndef AD_APP_PAIR_C
#define AD_APP_PAIR_C

#include "../base/lan.c"
#include "../guard/pairing.c"
#include "keys.c"
#include "qr.c"

#ifndef AIDASH_NO_MAIN

enum {
    AD_PAIR_ANSWER_MS = 5000, /* the server looks once a second */
    AD_PAIR_NAP_MS = 50
};

static void ad_pair_help(void)
{
    printf("usage: aidash pair [--rights RIGHTS] [--qr] [options]\n\n"
           "Print a code with which one phone or browser signs in to the running aidash "
           "within ten\nminutes: open the address and type the code, or scan the QR "
           "code. After %d wrong codes it\nis no longer valid. `aidash keys` lists who "
           "has signed in.\n\n"
           "  --rights LIST    what the device may: some of view,control,ingest,infer "
           "(default\n"
           "                   view,control)\n"
           "  --qr             print the QR code even if the output is no terminal\n"
           "  --state-dir DIR  the state directory of the server, if it is another "
           "one\n"
           "  --config FILE    the config file of the server, which may name it\n"
           "  --help           print this help and exit (-h)\n\n"
           "exit codes: 0 done, 1 no aidash runs with this state directory, 2 wrong "
           "option\n",
           AD_PAIR_TRIES);
}

/* Wait for the server's answer to the code that `line` describes: *answer is what is
 * behind this line. False if none comes. */
static bool ad_pair_await(const char *line, size_t len, char text[AD_PAIR_FILE_MAX],
                          const char **answer)
{
    static const struct timespec nap = {0, AD_PAIR_NAP_MS * 1000000};
    char why[AD_STATE_WHY_MAX];
    size_t got;
    int ms;

    for (ms = 0; ms < AD_PAIR_ANSWER_MS; ms += AD_PAIR_NAP_MS) {
        if (ad_state_read(AD_PAIRED_FILE, text, AD_PAIR_FILE_MAX, &got, why) &&
            got != SIZE_MAX && got > len && memcmp(text, line, len) == 0) {
            text[got] = '\0';
            *answer = text + len;
            (void)ad_state_remove(AD_PAIRED_FILE);
            return true;
        }
        (void)nanosleep(&nap, NULL);
    }
    return false;
}

/* The URLs of the page, as http://HOST:PORT, from a line of the answer: SCHEME PORT
 * HOST, HOST * for all interfaces. Returns how many there are. */
static unsigned ad_pair_urls(const char *answer, char urls[AD_LAN_MAX][300])
{
    char scheme[8], host[80];
    struct ad_lan lan[AD_LAN_MAX];
    unsigned port, n, i;

    if (sscanf(answer, "%7s %u %79s", scheme, &port, host) != 3) {
        return 0;
    }
    n = strcmp(host, "*") == 0 ? ad_lan_list(lan) : 0;
    for (i = 0; i < n; i++) {
        (void)snprintf(urls[i], sizeof(urls[i]), "%s://%.255s:%u", scheme,
                       lan[i].host, port);
    }
    if (n == 0) {
        (void)snprintf(urls[0], sizeof(urls[0]), "%s://%s:%u", scheme,
                       strcmp(host, "*") == 0 ? "localhost" : host, port);
        n = 1;
    }
    return n;
}

/* The address for the QR code: one that needs no mDNS, if there is one. */
static unsigned ad_pair_best(char urls[AD_LAN_MAX][300], unsigned n)
{
    return n > 1 && strstr(urls[0], ".local:") != NULL ? 1 : 0;
}

static void ad_pair_show(const char *code, const char *answer, bool qr)
{
    char urls[AD_LAN_MAX][300], link[340];
    unsigned n = ad_pair_urls(answer, urls), i;
    bool terminal = isatty(STDOUT_FILENO) == 1;

    printf("Sign in one device within %d minutes with the code\n\n    %.4s %.4s\n\n",
           AD_PAIR_MS / 60000 > 0 ? AD_PAIR_MS / 60000 : 1, code, code + 4);
    for (i = 0; i < n; i++) {
        printf("%s %s/\n", i == 0 ? "at" : "or", urls[i]);
    }
    if (n == 0 || !(qr || terminal)) {
        return;
    }
    /* A fragment is neither sent to the server nor logged (RFC 9110 7.1). */
    (void)snprintf(link, sizeof(link), "%s/#pair=%s", urls[ad_pair_best(urls, n)],
                   code);
    printf("\nor by this QR code of %s:\n\n", link);
    (void)ad_qr_print(stdout, link, terminal);
}

/* A new code, of 8 digits. False: the system has no random numbers yet. */
static bool ad_pair_make(char code[AD_PAIR_DIGITS + 1])
{
    uint32_t number;

    if (!ad_random_below(100000000, &number)) {
        return false;
    }
    (void)snprintf(code, AD_PAIR_DIGITS + 1, "%08u", number % 100000000);
    return true;
}

/* Hand a code to the server and show it. */
static int ad_pair_run(unsigned rights, bool qr)
{
    char code[AD_PAIR_DIGITS + 1], why[AD_STATE_WHY_MAX];
    char line[AD_PAIR_FILE_MAX], text[AD_PAIR_FILE_MAX];
    struct ad_text t = ad_text_in(line, sizeof(line));
    uint8_t digest[AD_SHA256_BYTES];
    const char *answer;

    if (!ad_pair_make(code)) {
        return ad_keys_failed("pair", "the system has no random numbers yet: try again");
    }
    ad_sha256(code, AD_PAIR_DIGITS, digest);
    ad_pair_put(&t, digest, rights, ad_keys_now_s() + AD_PAIR_MS / 1000);
    if (!ad_state_make()) {
        (void)ad_state_fail(why, "", strerror(errno));
        return ad_keys_failed("pair", why);
    }
    (void)ad_state_remove(AD_PAIRED_FILE);
    if (!ad_state_write(AD_PAIR_FILE, t.at, t.len, why)) {
        return ad_keys_failed("pair", why);
    }
    if (!ad_pair_await(t.at, t.len, text, &answer)) {
        (void)ad_state_remove(AD_PAIR_FILE);
        (void)fprintf(stderr,
                      "aidash pair: no aidash runs with the state directory %s: start "
                      "it, or name the directory of the one that runs: --state-dir\n",
                      ad_state.dir);
        return AD_EXIT_FAILED;
    }
    ad_pair_show(code, answer, qr);
    return AD_EXIT_OK;
}

static int ad_pair_main(int argc, char **argv)
{
    struct ad_keys_args a;
    unsigned rights = AD_MAY_VIEW | AD_MAY_CONTROL;

    if (!ad_keys_arguments(&a, argc, argv)) {
        return AD_EXIT_USAGE;
    }
    if (a.help) {
        ad_pair_help();
        return AD_EXIT_OK;
    }
    if (a.n_words > 0 || a.ttl != NULL || a.name != NULL) {
        (void)fprintf(stderr, "usage: aidash pair [--rights RIGHTS] [--qr] (--help)\n");
        return AD_EXIT_USAGE;
    }
    if ((a.rights != NULL && !ad_keys_rights("pair", a.rights, &rights)) ||
        !ad_keys_open("pair", &a)) {
        return AD_EXIT_USAGE;
    }
    return ad_pair_run(rights, a.qr);
}

#endif /* AIDASH_NO_MAIN */

#endif
