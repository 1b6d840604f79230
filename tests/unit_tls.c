/* unit_tls.c - src/guard/heap.c and tls.c: sessions of both sides over memory, with
 * certificates that openssl makes. What a session needs of its heap is measured. */
#include "../src/guard/tls.c"
#include "check.h"

#if AIDASH_TLS

static char dir[] = "/tmp/aidash-unit-tls-XXXXXX";

/* ---- the heap ---- */

static void test_heap(void)
{
    static _Alignas(16) uint8_t memory[64 * 1024];
    struct ad_heap h = {memory, sizeof(memory), 0, 0, 0};
    void *held[64] = {0};
    unsigned seed = 1, i, k;

    CHECK(ad_heap_calloc(&h, 1, sizeof(memory)) == NULL);
    CHECK(ad_heap_calloc(&h, SIZE_MAX / 2, 3) == NULL);
    held[0] = ad_heap_calloc(&h, 1, sizeof(memory) - AD_HEAP_HEADER);
    CHECK(held[0] == memory + AD_HEAP_HEADER && h.used == sizeof(memory));
    CHECK(ad_heap_calloc(&h, 1, 1) == NULL);
    memset(held[0], 0xFF, sizeof(memory) - AD_HEAP_HEADER);
    ad_heap_free(held[0]);
    held[0] = NULL;
    CHECK(h.used == 0);
    for (i = 0; i < 200000; i++) {
        seed = seed * 1103515245u + 12345u;
        k = seed >> 16 & 63;
        if (held[k] != NULL) {
            ad_heap_free(held[k]);
            held[k] = NULL;
        } else {
            size_t len = (seed >> 8) % 3000, at;
            unsigned char *got = ad_heap_calloc(&h, 1, len);

            held[k] = got;
            for (at = 0; got != NULL && at < len; at++) {
                if (got[at] != 0) {
                    CHECK(got[at] == 0);
                    break;
                }
            }
            if (got != NULL) {
                memset(got, 0xEE, len);
            }
        }
        if (seed % 97 == 0) {
            ad_heap_trim(&h);
        }
    }
    for (k = 0; k < 64; k++) {
        ad_heap_free(held[k]);
    }
    CHECK(h.used == 0 && h.high <= sizeof(memory));
    ad_heap_trim(&h);
    for (i = 0; i < sizeof(memory) && memory[i] == 0; i++) {
    }
    CHECK(h.fresh != 0 || i == sizeof(memory));
    held[0] = ad_heap_calloc(&h, 1, sizeof(memory) - AD_HEAP_HEADER);
    CHECK(held[0] != NULL); /* all is one block again */
}

/* ---- sessions: two ends, and what is on its way between them ---- */

struct end {
    unsigned char bytes[32768]; /* on their way to this end */
    size_t len, most, chunk;    /* `most` fit; a call moves up to `chunk` */
    bool over;                  /* the other end has closed */
    struct end *other;
};
static struct end server_end, client_end;

static int send_to(void *peer, const unsigned char *bytes, size_t len)
{
    struct end *to = ((struct end *)peer)->other;
    size_t room = to->most - to->len;

    len = len < to->chunk ? len : to->chunk;
    len = len < room ? len : room;
    memcpy(to->bytes + to->len, bytes, len);
    to->len += len;
    return len == 0 ? AD_TLS_WANT_WRITE : (int)len;
}

static int recv_from(void *peer, unsigned char *bytes, size_t len)
{
    struct end *from = peer;

    len = len < from->chunk ? len : from->chunk;
    len = len < from->len ? len : from->len;
    memcpy(bytes, from->bytes, len);
    from->len -= len;
    memmove(from->bytes, from->bytes + len, from->len);
    return len > 0 ? (int)len : from->over ? 0 : AD_TLS_WANT_READ;
}

static const struct ad_tls_io server_io = {send_to, recv_from, &server_end};
static const struct ad_tls_io client_io = {send_to, recv_from, &client_end};

static void connect_ends(size_t most, size_t chunk)
{
    memset(&server_end, 0, sizeof(server_end));
    memset(&client_end, 0, sizeof(client_end));
    server_end.most = client_end.most = most;
    server_end.chunk = client_end.chunk = chunk;
    server_end.other = &client_end;
    client_end.other = &server_end;
}

/* Both go on until both are done, or one has failed. */
static void shake_hands(struct ad_tls *server, struct ad_tls *client, int *s, int *c)
{
    unsigned turns;

    *s = *c = AD_TLS_WANT_READ;
    for (turns = 0; turns < 100000 && (*s != 0 || *c != 0); turns++) {
        if (*c != 0 && *c != AD_TLS_FAULT) {
            *c = ad_tls_handshake(client);
        }
        if (*s != 0 && *s != AD_TLS_FAULT) {
            *s = ad_tls_handshake(server);
        }
        if (*s == AD_TLS_FAULT && *c == AD_TLS_FAULT) {
            return;
        }
        server_end.over = *c == AD_TLS_FAULT;
        client_end.over = *s == AD_TLS_FAULT;
    }
}

/* ---- certificates ---- */

static int shell(const char *command)
{
    char line[2048];

    (void)snprintf(line, sizeof(line), "cd %s && { %s ; } >>log 2>&1", dir, command);
    return system(line);
}

static const char *in_dir(const char *name)
{
    static char paths[4][128];
    static unsigned next;
    char *path = paths[next++ % 4];

    (void)snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
    return path;
}

/* NAME.key, and NAME.crt with a chain of four certificates. */
static bool make_certificate(const char *name, const char *key_options)
{
    char command[2048];

    (void)snprintf(
        command, sizeof(command),
        "set -e\n"
        "make_key() { openssl genpkey %s -out $1.key; }\n"
        "make_key ca-%s; openssl req -x509 -key ca-%s.key -subj '/CN=authority of %s' -days 30 -out ca-%s.crt\n"
        "above=ca-%s; rm -f chain; printf 'basicConstraints=CA:TRUE\\n' > ext; i=1\n"
        "while [ $i -le 2 ]; do\n"
        "  make_key mid$i; openssl req -new -key mid$i.key -subj \"/CN=between $i\" -out mid.csr\n"
        "  openssl x509 -req -in mid.csr -CA $above.crt -CAkey $above.key -CAcreateserial -days 30 -extfile ext -out mid$i.crt\n"
        "  cat mid$i.crt chain > chain2 2>/dev/null || true; mv chain2 chain; above=mid$i; i=$((i + 1))\n"
        "done\n"
        "make_key %s; openssl req -new -key %s.key -subj /CN=board -out leaf.csr\n"
        "printf 'subjectAltName=DNS:board.local,IP:192.0.2.1\\n' > ext\n"
        "openssl x509 -req -in leaf.csr -CA $above.crt -CAkey $above.key -CAcreateserial -days 30 -extfile ext -out leaf.crt\n"
        "cat leaf.crt chain > %s.crt; cp leaf.crt %s-leaf.crt",
        key_options, name, name, name, name, name, name, name, name, name);
    return shell(command) == 0;
}

static const char *load(const char *cert, const char *key)
{
    const char *why = "", *wrong;
    bool busy;

    wrong = ad_tls_load(in_dir(cert), in_dir(key), &why, &busy);
    CHECK(!busy);
    return wrong != NULL ? why : NULL;
}

/* Believe these authorities alone, and this key, "": none. */
static bool trust(const char *name, const char *pin)
{
    bool read = ad_trust_read_file(in_dir(name)) == AD_TRUST_READ;

    ad_trust_begin_pins();
    read = read && (pin[0] == '\0' || ad_trust_add_pin(pin, strlen(pin)));
    ad_trust_use();
    return read;
}

/* Bytes of both ways, through small buffers; then both say that they end. */
static void talk(struct ad_tls *server, struct ad_tls *client, size_t total)
{
    static unsigned char out[AD_TLS_RECORD], in[16384];
    size_t sent = 0, got = 0, i;
    unsigned turns;

    for (turns = 0; turns < 1000000 && got < total; turns++) {
        int n;

        for (i = 0; i < sizeof(out); i++) {
            out[i] = (unsigned char)(sent + i);
        }
        if (server->stuck) {
            n = ad_tls_flush(server);
            CHECK(n == 0 || n == AD_TLS_WANT_WRITE);
        } else if (sent < total) {
            size_t len = total - sent < sizeof(out) ? total - sent : sizeof(out);

            n = ad_tls_write(server, out, len);
            CHECK(n == (int)len || n == AD_TLS_WANT_WRITE);
            sent += len;
        }
        n = ad_tls_read(client, in, 1 + turns % sizeof(in));
        CHECK(n > 0 || n == AD_TLS_WANT_READ);
        for (i = 0; n > 0 && i < (size_t)n; i++) {
            if (in[i] != (unsigned char)(got + i)) {
                CHECK(!"the bytes that were sent");
                return;
            }
        }
        got += n > 0 ? (size_t)n : 0;
    }
    CHECK(got == total);
    CHECK(ad_tls_close_notify(server) == 0);
    CHECK(ad_tls_read(client, in, sizeof(in)) == AD_TLS_CLOSED);
    CHECK(ad_tls_write(client, out, 5) == 5); /* the other way is still open */
    CHECK(ad_tls_read(server, in, sizeof(in)) == 5);
}

/* One connection with the certificate that is loaded. */
static void test_session(size_t most, size_t chunk, size_t total)
{
    struct ad_tls *server, *client;
    int s, c;

    connect_ends(most, chunk);
    server = ad_tls_accept(&server_io);
    client = ad_tls_connect(&client_io, "board.local", false);
    CHECK(server != NULL && client != NULL);
    shake_hands(server, client, &s, &c);
    CHECK(s == 0 && c == 0);
    if (c == AD_TLS_FAULT) {
        printf("client: %s (%x)\n", ad_tls_why(client), (unsigned)-client->error);
    }
    if (s == AD_TLS_FAULT) {
        printf("server: %s (%x)\n", ad_tls_why(server), (unsigned)-server->error);
    }
    if (s == 0 && c == 0) {
        talk(server, client, total);
    }
    printf("  server %zu of %d bytes at most, %zu at the end; client %zu, %zu\n",
           server->heap.high, AD_TLS_HEAP, server->heap.used, client->heap.high,
           client->heap.used);
    CHECK(server->heap.high < AD_TLS_HEAP - 8192);
    CHECK(client->heap.high < AD_TLS_HEAP - 8192);
    ad_tls_free(server);
    ad_tls_free(client);
    CHECK(server->heap.used == 0 && client->heap.used == 0);
    CHECK(ad_tls.n == 0);
}

static const char *connect_fault(const char *host)
{
    static struct ad_trust_verdict why;
    struct ad_tls *server, *client;
    int s, c;

    connect_ends(32768, 32768);
    server = ad_tls_accept(&server_io);
    client = ad_tls_connect(&client_io, host, false);
    shake_hands(server, client, &s, &c);
    CHECK(c == 0);
    if (c == 0 && ad_tls_believes(client, &why)) {
        why.fact[0] = '\0';
    }
    ad_tls_free(server);
    ad_tls_free(client);
    return why.fact;
}

static void test_trust(void)
{
    const mbedtls_x509_crt *leaf = &ad_tls.identity[ad_tls.current - 1].chain;
    uint8_t sum[AD_SHA256_BYTES];
    char pin[64] = "";
    struct ad_text t = ad_text_in(pin, sizeof(pin) - 1);

    ad_sha256(leaf->pk_raw.p, leaf->pk_raw.len, sum);
    ad_trust_put_pin(&t, sum);
    CHECK_STR(connect_fault("board.local"), "");
    CHECK_STR(connect_fault("192.0.2.1"), "");
    CHECK_STR(connect_fault("other.local"), "its certificate is for another name");
    CHECK_STR(connect_fault("192.0.2.2"), "its certificate is for another name");
    CHECK(trust("ca-rsa.crt", ""));
    CHECK_STR(connect_fault("board.local"),
              "its certificate is of an authority that is not known here");
    CHECK(trust("ca-rsa.crt", pin));
    CHECK_STR(connect_fault("other.local"), "");
    CHECK(trust("ca.pem", ""));
}

static void test_files(void)
{
    CHECK(strstr(load("none.crt", "none.key"), "No such file") != NULL);
    CHECK(strstr(load("log", "ec.key"), "no certificate") != NULL);
    CHECK(strstr(load("ec.crt", "ec.crt"), "no private key") != NULL);
    CHECK(strstr(load("ec.crt", "rsa.key"), "does not belong") != NULL);
    CHECK(shell("openssl pkey -in ec.key -aes256 -passout pass:secret -out locked.key") == 0);
    CHECK(load("ec.crt", "locked.key") != NULL);
    CHECK(shell("head -c 70000 /dev/zero | tr '\\0' x > large.key") == 0);
    CHECK(strstr(load("ec.crt", "large.key"), "64 KiB") != NULL);
    CHECK(ad_tls.current != 0); /* the one before is still there */
    CHECK(ad_tls_doubt() == NULL);
    CHECK(shell("openssl req -x509 -key ec.key -subj /CN=old -not_before 20200101000000Z "
                "-not_after 20210101000000Z -out old.crt || "
                "openssl x509 -req -in leaf.csr -signkey ec.key -days -1 -out old.crt || "
                "faketime -f -900d openssl req -x509 -key ec.key -subj /CN=old -days 1 -out old.crt") == 0);
    if (access(in_dir("old.crt"), R_OK) == 0) {
        CHECK(load("old.crt", "ec.key") == NULL);
        CHECK(ad_tls_doubt() != NULL && strstr(ad_tls_doubt(), "expired") != NULL);
    }
}

/* Each session has its own memory, and there are no more. */
static void test_full(void)
{
    static struct ad_tls *all[AIDASH_TLS_SESSIONS];
    unsigned i;

    connect_ends(32768, 32768);
    for (i = 0; i < AIDASH_TLS_SESSIONS; i++) {
        if (i == AIDASH_TLS_SESSIONS - AD_TLS_KEPT) {
            CHECK(ad_tls_accept(&server_io) == NULL); /* the rest is for engines */
        }
        all[i] = i < AIDASH_TLS_SESSIONS - AD_TLS_KEPT
                     ? ad_tls_accept(&server_io)
                     : ad_tls_connect(&client_io, "board.local", false);
        CHECK(all[i] != NULL);
    }
    CHECK(ad_tls_accept(&server_io) == NULL);
    CHECK(ad_tls_connect(&client_io, "board.local", false) == NULL);
    CHECK_EQ(ad_tls.n_engines, AD_TLS_KEPT);
    ad_tls_free(all[7]);
    CHECK(ad_tls_accept(&server_io) == all[7]);
    for (i = 0; i < AIDASH_TLS_SESSIONS; i++) {
        ad_tls_free(all[i]);
    }
    CHECK(ad_tls.n == 0 && ad_tls.n_engines == 0);
}

/* Bytes that are no TLS end the session, and only it. */
static void test_garbage(void)
{
    unsigned seed = 7, round, i;

    for (round = 0; round < 300; round++) {
        struct ad_tls *server, *client;
        int s, c;

        connect_ends(32768, 200 + round);
        server = ad_tls_accept(&server_io);
        client = ad_tls_connect(&client_io, "board.local", false);
        for (i = 0; i < round % 40; i++) {
            (void)ad_tls_handshake(client);
            (void)ad_tls_handshake(server);
        }
        for (i = 0; i < 3; i++) {
            seed = seed * 1103515245u + 12345u;
            if (server_end.len > 0) {
                server_end.bytes[seed % server_end.len] ^= (unsigned char)(1 + (seed >> 20));
            } else {
                server_end.bytes[server_end.len++] = (unsigned char)(seed >> 16);
            }
        }
        shake_hands(server, client, &s, &c);
        ad_tls_free(server);
        ad_tls_free(client);
        CHECK(server->heap.used == 0 && client->heap.used == 0);
    }
}

int main(void)
{
    CHECK(mkdtemp(dir) != NULL);
    test_heap();
    CHECK(ad_tls_server_start() && ad_tls_server_start());
    CHECK(ad_tls_client_start());
    CHECK(make_certificate("ec", "-algorithm EC -pkeyopt ec_paramgen_curve:P-256"));
    CHECK(make_certificate("p384", "-algorithm EC -pkeyopt ec_paramgen_curve:P-384"));
    CHECK(make_certificate("rsa", "-algorithm RSA -pkeyopt rsa_keygen_bits:2048"));
    CHECK(shell("cat ca-ec.crt ca-p384.crt ca-rsa.crt >ca.pem") == 0);
    CHECK(trust("ca.pem", ""));
    CHECK(load("ec.crt", "ec.key") == NULL);
    test_session(32768, 32768, 100000);
    test_session(300, 7, 20000);
    test_trust();
    CHECK(load("p384.crt", "p384.key") == NULL);
    test_session(32768, 32768, 1);
    CHECK(load("rsa.crt", "rsa.key") == NULL);
    test_session(32768, 32768, 100000);
    test_session(1000, 1000, 20000);
    test_files();
    CHECK(load("rsa.crt", "rsa.key") == NULL);
    test_full();
    test_garbage();
    test_session(32768, 32768, 1000);
    printf("  %zu bytes of the certificate's heap, %zu of the rest\n",
           ad_tls.identity[0].heap.high, ad_tls.heap.high);
    (void)shell("cd / && rm -rf \"$OLDPWD\"");
    return check_report();
}

#else

int main(void)
{
    CHECK(!AIDASH_TLS);
    return check_report();
}

#endif
