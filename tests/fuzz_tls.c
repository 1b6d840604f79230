/* A TLS session of each side over memory, as tls_pump.c uses it, between two ends that
 * change each other's bytes on their way. The input is a list of four bytes each: which
 * way, after how many more bytes, what is done (a byte changed, cut, repeated, or bytes
 * of the input put in), with what. The certificate is made by openssl, once. */
#include "../src/guard/tls.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#if AIDASH_TLS

struct fuzz_end {
    unsigned char bytes[65536];
    size_t len, passed; /* on their way to this end; those that have left */
    struct fuzz_end *other;
    const uint8_t *data; /* what is still to be done to them */
    size_t size;
    size_t next; /* at this byte */
    bool over;
};
static struct fuzz_end fuzz_ends[2];

static void fuzz_put(struct fuzz_end *to, unsigned char byte)
{
    if (to->len < sizeof(to->bytes)) {
        to->bytes[to->len++] = byte;
    }
}

/* The next thing to be done to what comes to this end. */
static void fuzz_plan(struct fuzz_end *to)
{
    unsigned way = to == &fuzz_ends[1];

    while (to->size >= 4 && (to->data[0] & 1) != way) {
        to->data += 4;
        to->size -= 4;
    }
    to->next = to->size < 4 ? SIZE_MAX
                            : to->passed + (to->data[0] >> 1) +
                                  (size_t)to->data[1] * (to->data[1] & 1 ? 1 : 64);
}

static void fuzz_do(struct fuzz_end *to, unsigned char byte)
{
    unsigned i, n = to->data[3];

    switch (to->data[2] % 4) {
    case 0:
        fuzz_put(to, (unsigned char)(byte ^ n));
        break;
    case 1:
        break;
    case 2:
        for (i = 0; i <= n; i++) {
            fuzz_put(to, byte);
        }
        break;
    default:
        for (i = 4; i < to->size && i < 4 + n; i++) {
            fuzz_put(to, to->data[i]);
        }
        fuzz_put(to, byte);
        break;
    }
    to->data += 4;
    to->size -= 4;
}

static int fuzz_send(void *peer, const unsigned char *bytes, size_t len)
{
    struct fuzz_end *to = ((struct fuzz_end *)peer)->other;
    size_t i;

    if (len > sizeof(to->bytes) - to->len) {
        return AD_TLS_WANT_WRITE;
    }
    for (i = 0; i < len; i++) {
        if (to->passed == to->next) {
            fuzz_do(to, bytes[i]);
            to->passed++;
            fuzz_plan(to);
        } else {
            fuzz_put(to, bytes[i]);
            to->passed++;
        }
    }
    return (int)len;
}

static int fuzz_recv(void *peer, unsigned char *bytes, size_t len)
{
    struct fuzz_end *from = peer;

    len = len < from->len ? len : from->len;
    memcpy(bytes, from->bytes, len);
    from->len -= len;
    memmove(from->bytes, from->bytes + len, from->len);
    return len > 0 ? (int)len : from->over ? 0 : AD_TLS_WANT_READ;
}

static bool fuzz_begin(void)
{
    char dir[] = "/tmp/aidash-fuzz-tls-XXXXXX", command[512], cert[64], key[64];
    const char *why = "";
    bool busy, ok;

    if (mkdtemp(dir) == NULL) {
        return false;
    }
    (void)snprintf(cert, sizeof(cert), "%s/crt", dir);
    (void)snprintf(key, sizeof(key), "%s/key", dir);
    (void)snprintf(command, sizeof(command),
                   "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 "
                   "-nodes -keyout %s -out %s -days 30 -subj /CN=fuzz 2>/dev/null",
                   key, cert);
    ok = system(command) == 0 && ad_tls_server_start() && ad_tls_client_start() &&
         ad_tls_load(cert, key, &why, &busy) == NULL;
    (void)unlink(cert);
    (void)unlink(key);
    (void)rmdir(dir);
    return ok;
}

/* One step of a side. False if it is over. */
static bool fuzz_step(struct ad_tls *s, bool *shaken)
{
    unsigned char bytes[1500];
    int n;

    if (!*shaken) {
        n = ad_tls_handshake(s);
        *shaken = n == 0;
        return n != AD_TLS_FAULT && n != AD_TLS_CLOSED;
    }
    n = ad_tls_read(s, bytes, sizeof(bytes));
    if (n == 0 || n > (int)sizeof(bytes)) {
        __builtin_trap();
    }
    if (n < 0 && n != AD_TLS_WANT_READ) {
        return false;
    }
    return s->stuck ? ad_tls_flush(s) != AD_TLS_FAULT
                    : ad_tls_write(s, bytes, 100) != AD_TLS_FAULT;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct ad_tls_io io[2] = {{fuzz_send, fuzz_recv, &fuzz_ends[0]},
                                           {fuzz_send, fuzz_recv, &fuzz_ends[1]}};
    static bool begun;
    struct ad_tls *side[2];
    bool shaken[2] = {false, false}, lives[2] = {true, true};
    unsigned turn, i;

    if (!begun) {
        begun = fuzz_begin();
        if (!begun) {
            abort();
        }
    }
    for (i = 0; i < 2; i++) {
        memset(&fuzz_ends[i], 0, sizeof(fuzz_ends[i]));
        fuzz_ends[i].other = &fuzz_ends[1 - i];
        fuzz_ends[i].data = data;
        fuzz_ends[i].size = size;
        fuzz_plan(&fuzz_ends[i]);
    }
    side[0] = ad_tls_accept(&io[0]);
    side[1] = ad_tls_connect(&io[1], "fuzz", false);
    for (turn = 0; turn < 30 && (lives[0] || lives[1]); turn++) {
        for (i = 0; i < 2; i++) {
            lives[i] = lives[i] && fuzz_step(side[i], &shaken[i]);
            fuzz_ends[1 - i].over = !lives[i];
        }
    }
    for (i = 0; i < 2; i++) {
        if (lives[i] && shaken[i]) {
            (void)ad_tls_close_notify(side[i]);
        }
        ad_tls_free(side[i]);
        if (side[i]->heap.used != 0 || side[i]->heap.high > AD_TLS_HEAP) {
            __builtin_trap();
        }
    }
    if (ad_tls.n != 0 || (size == 0 && !(shaken[0] && shaken[1]))) {
        __builtin_trap();
    }
    return 0;
}

#else

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    (void)data;
    (void)size;
    return 0;
}

#endif
