/* sources.c - where ticks come from, but for HTTP and the meter: the simulator,
 * stdin, UDP, the inbox.
 * Owns ad_sources, ad_stdin_input, ad_datagram. Hub thread only. Each source
 * stops when a fan-out is due, and goes on in the next turn: so no input, however
 * large, overruns the feed.
 */
#ifndef AD_CORE_SOURCES_C
#define AD_CORE_SOURCES_C

#include "../base/net.c"
#include "../codec/lines.c"
#include "gauges.c"
#include "own_requests.c"
#include "ticks.c"

enum ad_source { AD_SOURCE_NONE, AD_SOURCE_SIM, AD_SOURCE_STDIN,
                 AD_SOURCE_METER, AD_SOURCE_SCRAPE };

/* Taken in one go. Lines that make no event are counted, too: some 0.3 ms of them,
 * so that nobody else's bytes wait for long. */
enum { AD_INBOX_RUN_MAX = 256, AD_DATAGRAMS_MAX = 64, AD_LINES_MAX = 256 };

static struct {
    enum ad_source source; /* changes once, when the simulator ends */
    double rate_hz;        /* [I] of the simulator */
    uint64_t seed;         /* [I] likewise */
    bool sim_models;       /* [I] the models are the simulator's own */
    uint64_t lines, errors; /* of ingest, by any way */
    void (*on_watts)(double watts); /* [I] takes what a wall meter says, or NULL */
    /* [I] Learns of a tick that names a node, from outside or from this program, or NULL.
     * False: it is not to be taken. */
    bool (*on_node)(const char *node, const char *model, bool outside);
    int udp[2];
    bool udp_local; /* [I] datagrams of other machines are not taken */
    unsigned n_udp; /* [I] */
    uint64_t sim_due_ns, sim_step_ns, sim_state;
    bool sim_behind; /* a turn left ticks that are due */
    bool stdin_open, stdin_is_file;
    struct ad_lines stdin_lines;
    uint8_t stdin_line[AD_LINE_CAP];
    size_t stdin_at, stdin_len;       /* what is left of ad_stdin_input */
    size_t datagram_at, datagram_len; /* and of ad_datagram */
} ad_sources;

static uint8_t ad_stdin_input[16 * 1024];
static uint8_t ad_datagram[AIDASH_SCRATCH];

/* The source's section of status. */
static void ad_put_source(struct ad_text *t)
{
    static const char *const names[] = {"none", "sim", "stdin", "meter",
                                        "scrape"};
    bool ended = ad_sources.source == AD_SOURCE_STDIN && !ad_sources.stdin_open;

    ad_puts(t, ",\"source\":");
    ad_put_string(t, names[ad_sources.source]);
    ad_puts(t, ",\"source_state\":");
    ad_put_string(t, ad_sources.source == AD_SOURCE_NONE ? "none"
                     : ended                         ? "ended"
                                                     : "running");
    ad_puts(t, ",\"rate_hz\":");
    ad_put_fixed(t, ad_sources.source == AD_SOURCE_SIM ? ad_sources.rate_hz : 0, 3);
}

/* A tick of a real engine has come: the simulated one ends, as their ticks could
 * not be told apart. Its models go, too, unless they were configured. */
static void ad_sim_end(void)
{
    if (ad_sources.source != AD_SOURCE_SIM) {
        return;
    }
    ad_sources.source = AD_SOURCE_NONE;
    ad_sources.sim_behind = false;
    if (ad_sources.sim_models) {
        ad_engine_learn_anew();
    }
    ad_log(AIDASH_LOG_INFO, "a tick has come from outside: the simulated engine "
                            "ends");
    ad_status_append();
}

/* A sample of a real engine or board takes effect; it is from `outside`, or from this
 * program. False: its node speaks for itself. */
static bool ad_sample_apply(const struct ad_sample *sample, bool outside)
{
    if ((sample->has & AD_IS_GAUGE) != 0) {
        ad_gauge_set(sample);
        return true;
    }
    if ((sample->has & AD_IS_WATTS) != 0) {
        if (ad_sources.on_watts != NULL) {
            ad_sources.on_watts(sample->value);
        }
        return true;
    }
    if ((sample->has & AD_IS_PROGRESS) != 0) {
        ad_sim_end();
        ad_own_request_progress(sample);
        return true;
    }
    if (sample->node[0] != '\0' && ad_sources.on_node != NULL &&
        !ad_sources.on_node(sample->node, sample->model, outside)) {
        return false;
    }
    ad_sim_end();
    ad_tick_apply(sample, ad_hub.now_ns);
    return true;
}

/* One line from outside. Returns NULL, or what is wrong with it. */
static const char *ad_ingest(const uint8_t *line, size_t len)
{
    struct ad_sample sample;
    enum ad_fault fault = AD_FAULT_LINE_LENGTH;

    if (len != SIZE_MAX) {
        fault = ad_sample_parse((const char *)line, len, &sample);
    }
    ad_sources.lines++;
    if (fault == AD_FAULT_NONE && !ad_sample_apply(&sample, true)) {
        fault = AD_FAULT_SAMPLE_TAKEN;
    }
    if (fault != AD_FAULT_NONE) {
        ad_sources.errors++;
        return ad_fault_text(fault);
    }
    return NULL;
}

static bool ad_is_blank(const uint8_t *line, size_t len)
{
    return len != SIZE_MAX && ad_json_space((const char *)line, len) == len;
}

/* splitmix64 (Steele, Lea, Flood 2014): the simulator's random numbers. */
static uint64_t ad_sim_random(void)
{
    uint64_t z = ad_sources.sim_state += 0x9E3779B97F4A7C15ull;

    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ z >> 27) * 0x94D049BB133111EBull;
    return z ^ z >> 31;
}

/* One tick of the simulated engine: latency gauss(120, 20) ms, at least 50;
 * 1 to 5 tokens. The sum of 12 uniforms has variance 1 (Irwin-Hall). */
static void ad_sim_tick(struct ad_sample *out)
{
    double sum = 0;
    int i;

    for (i = 0; i < 12; i++) {
        sum += (double)(ad_sim_random() >> 11) / 9007199254740992.0; /* 2^53 */
    }
    memset(out, 0, sizeof(*out));
    out->latency_ms = 120 + 20 * (sum - 6);
    out->latency_ms = out->latency_ms < 50 ? 50 : out->latency_ms;
    out->tokens = 1 + ad_sim_random() % 5;
    out->has = AD_HAS_TOKENS | AD_HAS_LATENCY;
}

/* Make the ticks that are due; at rates above the wake-ups', several. After a
 * second's standstill (the process was stopped) the rhythm starts anew. */
static void ad_sim_run(void)
{
    struct ad_sample sample;

    if (ad_hub.now_ns > ad_sources.sim_due_ns + AD_NS_PER_S + ad_sources.sim_step_ns) {
        ad_sources.sim_due_ns = ad_hub.now_ns;
    }
    while (ad_sources.sim_due_ns <= ad_hub.now_ns && !ad_events_due()) {
        uint64_t due_ns = ad_sources.sim_due_ns;

        /* A lone tick is made now, however late the timer was. */
        ad_sources.sim_due_ns += ad_sources.sim_step_ns;
        if (!ad_engine.paused) {
            ad_sim_tick(&sample);
            ad_tick_apply(&sample, ad_sources.sim_due_ns > ad_hub.now_ns
                                       ? ad_hub.now_ns
                                       : due_ns);
        }
    }
    ad_sources.sim_behind = ad_sources.sim_due_ns <= ad_hub.now_ns;
}

static void ad_inbox_run(void)
{
    struct ad_sample sample;
    unsigned i;

    for (i = 0; i < AD_INBOX_RUN_MAX && !ad_events_due(); i++) {
        if (!ad_inbox_pop(&sample)) {
            return;
        }
        (void)ad_sample_apply(&sample, false);
    }
}

static void ad_stdin_line(const uint8_t *line, size_t len)
{
    const char *fault = ad_ingest(line, len);
    uint64_t errors = ad_sources.errors;

    /* The first ten, then less and less: the log is not the feed. */
    if (fault != NULL && (errors <= 10 || (errors & (errors - 1)) == 0)) {
        ad_log(AIDASH_LOG_WARN, "stdin line %u: %s", ad_sources.stdin_lines.line,
               fault);
    }
}

/* The lines of what was read, until a fan-out is due. */
static void ad_stdin_take(void)
{
    const uint8_t *line;
    unsigned lines;
    size_t n;
    bool ended;

    for (lines = 0; lines < AD_LINES_MAX && !ad_events_due() &&
                    ad_sources.stdin_at < ad_sources.stdin_len; lines++) {
        ad_sources.stdin_at +=
            ad_lines_next(&ad_sources.stdin_lines, ad_sources.stdin_line,
                          ad_stdin_input + ad_sources.stdin_at,
                          ad_sources.stdin_len - ad_sources.stdin_at, &line, &n,
                          &ended);
        if (ended && !ad_is_blank(line, n)) {
            ad_stdin_line(line, n);
        }
    }
}

/* stdin has ended: its last line may have no LF. */
static void ad_stdin_end(void)
{
    if (ad_sources.stdin_lines.len > 0) {
        ad_stdin_input[0] = '\n';
        ad_sources.stdin_at = 0;
        ad_sources.stdin_len = 1;
        ad_stdin_take();
    }
    if (!ad_sources.stdin_is_file) {
        (void)ad_poll_set(STDIN_FILENO, AD_IN, 0, AD_TAG_STDIN, 0);
    }
    ad_sources.stdin_open = false;
    ad_log(AIDASH_LOG_INFO, "stdin has ended after %u line%s",
           ad_sources.stdin_lines.line,
           ad_sources.stdin_lines.line == 1 ? "" : "s");
    ad_status_append();
}

/* stdin is readable. */
static void ad_stdin_event(void)
{
    ssize_t got;

    if (ad_events_due() || !ad_sources.stdin_open) {
        return;
    }
    if (ad_sources.stdin_at == ad_sources.stdin_len) {
        got = read(STDIN_FILENO, ad_stdin_input, sizeof(ad_stdin_input));
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        if (got <= 0) {
            ad_stdin_end();
            return;
        }
        ad_sources.stdin_at = 0;
        ad_sources.stdin_len = (size_t)got;
    }
    ad_stdin_take();
}

/* The lines of a datagram, until a fan-out is due, or `most` were taken. The last
 * needs no LF. Returns how many were taken. */
static unsigned ad_datagram_take(unsigned most)
{
    unsigned n;

    for (n = 0; n < most && ad_sources.datagram_at < ad_sources.datagram_len &&
                !ad_events_due(); n++) {
        const uint8_t *at = ad_datagram + ad_sources.datagram_at;
        size_t left = ad_sources.datagram_len - ad_sources.datagram_at;
        const uint8_t *newline = memchr(at, '\n', left);
        size_t len = newline != NULL ? (size_t)(newline - at) : left;

        if (!ad_is_blank(at, len)) {
            (void)ad_ingest(at, len <= AIDASH_MESSAGE_MAX ? len : SIZE_MAX);
        }
        ad_sources.datagram_at += len;
        if (newline != NULL) {
            ad_sources.datagram_at++;
        }
    }
    return n;
}

/* A UDP socket is readable: a datagram is one or many lines. */
static void ad_udp_event(int fd)
{
    unsigned i, lines = ad_datagram_take(AD_LINES_MAX); /* of the one before */

    for (i = 0; i < AD_DATAGRAMS_MAX && lines < AD_LINES_MAX &&
                ad_sources.datagram_at == ad_sources.datagram_len &&
                !ad_events_due(); i++) {
        struct sockaddr_storage peer = {0};
        socklen_t len = sizeof(peer);
        ssize_t got = recvfrom(fd, ad_datagram, sizeof(ad_datagram), MSG_DONTWAIT,
                               (struct sockaddr *)(void *)&peer, &len);

        if (got < 0) {
            return;
        }
        if (ad_sources.udp_local && !ad_address_is_loopback(&peer)) {
            ad_sources.errors++;
            continue;
        }
        ad_sources.datagram_at = 0;
        ad_sources.datagram_len = (size_t)got;
        lines += ad_datagram_take(AD_LINES_MAX - lines);
    }
}

/* Before each run. */
static void ad_sources_init(void)
{
    memset(&ad_sources, 0, sizeof(ad_sources));
    ad_engine_add_section(ad_put_source);
}

/* The names of the simulator's own models, which nobody configured. While
 * starting. */
static const char *ad_sources_sim_models(void)
{
    ad_sources.sim_models = true;
    return "llama3,mistral,qwen2.5";
}

#if AIDASH_METER && AIDASH_ENERGY

/* Hand what a wall meter says to this function. While starting. */
static void ad_sources_on_watts(void (*on_watts)(double watts))
{
    ad_sources.on_watts = on_watts;
}

#endif

/* Choose the source, and the simulator's rate and seed. While starting. */
static void ad_sources_set(enum ad_source source, double rate_hz, uint64_t seed)
{
    ad_sources.source = source;
    ad_sources.rate_hz = rate_hz;
    ad_sources.seed = seed;
}

/* Take datagrams of this machine's programs alone. While starting. */
static void ad_sources_keep_udp_local(void)
{
    ad_sources.udp_local = true;
}

/* Take ticks from a UDP address. Returns its port, or minus errno (EINVAL: it is
 * not [ADDR:]PORT). While starting, after ad_hub_open(). */
static int ad_sources_open_udp(const char *spec)
{
    unsigned port = 0;
    int fd = ad_socket_bind(spec, SOCK_DGRAM, &port);

    if (fd < 0) {
        return fd;
    }
    ad_sources.udp[ad_sources.n_udp++] = fd;
    (void)ad_poll_set(fd, 0, AD_IN, AD_TAG_UDP, 0);
    return (int)port;
}

/* Start the source: the simulator's clock, or reading from standard input. While
 * starting, after ad_hub_begin() and ad_hub_open(). */
static void ad_sources_open(void)
{
    if (ad_sources.source == AD_SOURCE_SIM) {
        ad_sources.sim_state = ad_sources.seed;
        ad_sources.sim_step_ns =
            (uint64_t)((double)AD_NS_PER_S / ad_sources.rate_hz);
        ad_sources.sim_due_ns = ad_hub.now_ns + ad_sources.sim_step_ns;
    }
    if (ad_sources.source == AD_SOURCE_STDIN) {
        ad_sources.stdin_open = true;
        /* epoll refuses files: they are always readable. */
        ad_sources.stdin_is_file =
            !ad_poll_set(STDIN_FILENO, 0, AD_IN, AD_TAG_STDIN, 0);
    }
}

static void ad_sources_close(void)
{
    unsigned i;

    for (i = 0; i < ad_sources.n_udp; i++) {
        (void)close(ad_sources.udp[i]);
    }
}

/* Is there some of stdin to take that the poller does not report? */
static bool ad_stdin_waits(void)
{
    return ad_sources.stdin_open &&
           (ad_sources.stdin_is_file ||
            ad_sources.stdin_at < ad_sources.stdin_len);
}

/* Likewise of any source: then the hub does not sleep. */
static bool ad_sources_wait(void)
{
    return ad_stdin_waits() || ad_sources.sim_behind ||
           ad_sources.datagram_at < ad_sources.datagram_len;
}

AD_MEMORY(sources, 1,
          sizeof(ad_sources) + sizeof(ad_stdin_input) + sizeof(ad_datagram));

#endif
