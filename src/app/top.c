/* top.c - `aidash top`: what an aidash does, on a terminal, or as JSON for scripts.
 * It asks for GET /status and /requests, and then reads /events, which tells again
 * what is still kept; so one connection brings all. What it says of itself: every 5 s.
 * The main thread. All that it has, some 800 kB, lies on the stack of ad_top_main(), so
 * that a server has nothing of it.
 * Always: the terminal is as it was when this ends or is stopped, by whatever signal
 * a program can get.
 */
#ifndef AD_APP_TOP_C
#define AD_APP_TOP_C

#include "../base/file.c"
#include "../meter/fetch.c"
#include "config_engines.c"
#include "options.c"
#include "terminal.c"
#include "top_screen.c"

#if AD_TOP

enum {
    AD_TOP_KEY_MAX = 4096,     /* bytes of a key or token */
    AD_TOP_LINE_MAX = 32768,   /* of a line of /events; a longer one is left out */
    AD_TOP_STATUS_MS = 5000,   /* between two questions about its state */
    AD_TOP_DRAW_MS = 250,      /* between two screens */
    AD_TOP_JSON_MS = 1000,     /* between two objects */
    AD_TOP_SILENCE_MS = 60000, /* /events has a comment every 20 s: it is lost */
    AD_TOP_REPLAY_MS = 3000,   /* --once waits so long for what is kept */
    AD_TOP_AGAIN_MS = 500,     /* until it connects again; twice as long each time */
    AD_TOP_AGAIN_MAX_MS = 8000,
    AD_TOP_REQUEST_MAX = AD_TOP_KEY_MAX + 2048
};

struct ad_top_args {
    const char *place; /* HOST:PORT or a URL */
    const char *ca;    /* NULL: the system's */
    bool once, json;
    char key[AD_TOP_KEY_MAX + 3]; /* "": none */
};

enum ad_top_step {
    AD_TOP_WAITS, /* until it is time to connect again */
    AD_TOP_ASKS,  /* /status is asked for; nothing else yet */
    AD_TOP_ASKS_MORE,
    AD_TOP_STREAMS /* /events is there, or begins */
};

/* All that a run needs. */
struct ad_top_run {
    struct ad_top_args args;
    struct ad_upstream at;
    struct ad_top_state state;
    struct ad_top_json json;
    enum ad_top_step step;
    struct ad_fetch ask, stream;
    bool asking; /* `ask` is under way */
    uint32_t ask_ms, stream_ms; /* since when it waits for the next bytes */
    uint32_t asked_ms;  /* when /status was asked for */
    uint32_t opened_ms; /* when the stream began */
    uint32_t again_ms, wait_ms; /* when to connect again; how long that is */
    bool ever;   /* it was connected before */
    int result;  /* the exit code, or -1: it goes on */
    char why[AD_TOP_SENTENCE]; /* the connection was lost */
    char id[64]; /* of the latest event */
    size_t answer_len, line_len, request_len;
    bool line_skip;
    char answer[AD_TOP_JSON_MAX + 1];
    char line[AD_TOP_LINE_MAX], request[AD_TOP_REQUEST_MAX];
    char ask_head[AD_FETCH_HEAD_MAX], stream_head[AD_FETCH_HEAD_MAX];
    /* The terminal. */
    bool screen, colours, utf8;
    struct ad_terminal terminal;
    char page[AD_TOP_SCREEN_MAX], out[AD_TOP_SCREEN_MAX + 8 * AD_TOP_ROWS_MAX];
};

static uint32_t ad_top_ms(void)
{
    return (uint32_t)(ad_clock_ns(CLOCK_MONOTONIC) / AD_NS_PER_MS);
}

static double ad_top_now(void)
{
    return (double)ad_clock_ns(CLOCK_REALTIME) / (double)AD_NS_PER_S;
}

/* ---- the arguments ---- */

static void ad_top_help(void)
{
    printf("usage: aidash top [options] [HOST:PORT]\n\n"
           "Show what the aidash at HOST:PORT (default localhost:8080; or a URL) does: "
           "state, model,\ntokens per second, latency over the last minute, requests, "
           "board. q or Ctrl-C leaves.\n\n"
           "  --once           print one screen and exit\n"
           "  --json           print a JSON object each second; with --once one "
           "object\n"
           "  --key-file FILE  file with a key of that aidash, where it asks for one; "
           "only you\n                   may be able to read it. Else $AIDASH_TOKEN, "
           "if it is set\n"
#if AIDASH_TLS
           "  --ca FILE        certificates (PEM) of the authorities that vouch for an "
           "https URL,\n                   instead of the system's\n"
#endif
           "  --help           print this help and exit (-h)\n\n"
           "Without a terminal, it prints one screen. Colours: none where NO_COLOR is "
           "set.\n\n"
           "exit codes: 0 left, or printed; 1 no aidash answers, or it refuses; 2 wrong "
           "option\n");
}

/* The key is the first line of a file that nobody else may read. */
static bool ad_top_key_file(struct ad_top_args *a, const char *path)
{
    const char *fault;
    struct stat info;
    size_t len;
    FILE *f = fopen(path, "re");

    if (f == NULL) {
        fault = strerror(errno);
    } else if (fstat(fileno(f), &info) != 0 || !S_ISREG(info.st_mode)) {
        fault = "it is no file";
    } else if ((info.st_mode & 077) != 0) {
        fault = "others may read it: chmod 600 it";
    } else {
        (void)!fgets(a->key, (int)sizeof(a->key), f);
        len = strcspn(a->key, "\r\n");
        a->key[len] = '\0';
        fault = len == 0                ? "it has no key"
                : len > AD_TOP_KEY_MAX  ? "its first line is too long"
                : !ad_http_is_value(ad_slice_of(a->key)) ? "that is no key"
                                                         : NULL;
    }
    if (f != NULL) {
        (void)fclose(f);
    }
    if (fault != NULL) {
        (void)fprintf(stderr, "aidash top: --key-file: %s: %s\n", path, fault);
    }
    return fault == NULL;
}

/* Take the option `name` (without its dashes) with its value. */
static bool ad_top_option(struct ad_top_args *a, const char *name, size_t len,
                          const char *value)
{
    static const char *const known[] = {"once", "json", "key-file",
#if AIDASH_TLS
                                        "ca"
#endif
    };
    char word[32];

    if (len == 8 && strncmp(name, known[2], len) == 0) {
        return ad_top_key_file(a, value);
    }
#if AIDASH_TLS
    if (len == 2 && strncmp(name, known[3], len) == 0) {
        a->ca = value;
        return true;
    }
#endif
    (void)snprintf(word, sizeof(word), "%.*s", (int)(len < 31 ? len : 31), name);
    (void)fprintf(stderr, "aidash top: unknown option --%s; the nearest is --%s (--help "
                          "lists all)\n",
                  word, ad_nearest(word, known, AD_COUNT(known)));
    return false;
}

/* argv[0] is the command's name. Returns -1 to go on, or the exit code. */
static int ad_top_arguments(struct ad_top_args *a, int argc, char **argv)
{
    const char *key = getenv("AIDASH_TOKEN");
    int i;

    for (i = 1; i < argc; i++) {
        const char *arg = argv[i], *equals = strchr(arg, '=');
        size_t len = equals != NULL ? (size_t)(equals - arg) : strlen(arg);

        if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0) {
            ad_top_help();
            return AD_EXIT_OK;
        }
        if (strcmp(arg, "--json") == 0) {
            a->json = true;
        } else if (strcmp(arg, "--once") == 0) {
            a->once = true;
        } else if (strncmp(arg, "--", 2) == 0) {
            const char *value = "";

            if (equals != NULL) {
                value = equals + 1;
            } else if (i + 1 < argc) {
                value = argv[++i];
            }
            if (!ad_top_option(a, arg + 2, len - 2, value)) {
                return AD_EXIT_USAGE;
            }
        } else if (arg[0] == '-' || a->place != NULL) {
            (void)fprintf(stderr, "aidash top: '%s' is too much (--help lists all)\n",
                          arg);
            return AD_EXIT_USAGE;
        } else {
            a->place = arg;
        }
    }
    if (a->key[0] == '\0' && key != NULL && key[0] != '\0') {
        if (strlen(key) > AD_TOP_KEY_MAX || !ad_http_is_value(ad_slice_of(key))) {
            (void)fprintf(stderr, "aidash top: AIDASH_TOKEN: that is no key\n");
            return AD_EXIT_USAGE;
        }
        (void)snprintf(a->key, sizeof(a->key), "%s", key);
    }
    return -1;
}

#if AIDASH_TLS

/* Whom to believe. False if there is nobody, which was explained. */
static bool ad_top_trust(const struct ad_top_args *a)
{
    if (a->ca != NULL && ad_trust_read_file(a->ca) != AD_TRUST_READ) {
        (void)fprintf(stderr, "aidash top: --ca: %s can't be read, or has no "
                              "certificate (PEM)\n", a->ca);
        return false;
    }
    if (a->ca == NULL && ad_trust_read_system() == NULL) {
        (void)fprintf(stderr, "aidash top: this system has no file of certificate "
                              "authorities: name one by --ca FILE\n");
        return false;
    }
    ad_trust_use();
    if (!ad_tls_client_start()) {
        (void)fprintf(stderr, "aidash top: TLS can't begin: the system has no random "
                              "numbers, or it lacks memory\n");
        return false;
    }
    return true;
}

#else

static bool ad_top_trust(const struct ad_top_args *a)
{
    (void)a;
    return true;
}

#endif

/* Where it is. Returns -1, or the exit code. */
static int ad_top_find(struct ad_top_run *r)
{
    char url[512];
    int error;

    if (r->args.place == NULL) {
        r->args.place = "localhost:8080";
    }
    (void)snprintf(url, sizeof(url), "%s%s",
                   strstr(r->args.place, "://") != NULL ? "" : "http://",
                   r->args.place);
    if (ad_upstream_at("HOST:PORT", url, strlen(url), &r->at) != 0) {
        (void)fprintf(stderr, "aidash top: %s\n", ad_failure.text);
        return AD_EXIT_USAGE;
    }
    if (r->at.url.tls && !ad_top_trust(&r->args)) {
        return AD_EXIT_FAILED;
    }
    error = ad_upstream_resolve(&r->at);
    if (error != 0) {
        (void)fprintf(stderr, "aidash top: '%s' can't be resolved (%s)\n",
                      r->at.url.host, gai_strerror(error));
        return AD_EXIT_FAILED;
    }
    return -1;
}

/* ---- what is shown ---- */

/* Ctrl-Z: the shell gets its terminal, until we go on. */
static void ad_top_suspend(struct ad_top_run *r)
{
    ad_terminal_signal.stop = 0;
    if (r->screen) {
        ad_terminal_leave(&r->terminal);
    }
    (void)raise(SIGSTOP);
    if (r->screen) {
        ad_terminal_enter(&r->terminal);
    }
}

/* What the last line says. */
static void ad_top_notice(const struct ad_top_run *r, char *out, size_t cap)
{
    int32_t left = (int32_t)(r->again_ms - ad_top_ms());

    if (r->state.connected) {
        (void)snprintf(out, cap, "q: quit");
    } else if (r->step == AD_TOP_WAITS) {
        (void)snprintf(out, cap, "%s: again in %d s - q: quit", r->why,
                       left > 0 ? (left + 999) / 1000 : 0);
    } else {
        (void)snprintf(out, cap, "connecting - q: quit");
    }
}

/* Show the screen, once or as an update. False if the terminal is gone. */
static AD_COLD bool ad_top_draw(struct ad_top_run *r)
{
    char notice[AD_TOP_SENTENCE + 64] = "";
    struct ad_top_view view = {0, 0, r->utf8, r->colours, r->at.url.authority,
                               notice, ad_top_now()};
    struct ad_text page = ad_text_in(r->page, sizeof(r->page));
    struct ad_text out = ad_text_in(r->out, sizeof(r->out));
    size_t i, from = 0;

    ad_terminal_size(&view.columns, &view.rows);
    view.columns = view.columns < AD_TOP_COLUMNS_MAX ? view.columns : AD_TOP_COLUMNS_MAX;
    view.rows = view.rows < AD_TOP_ROWS_MAX ? view.rows : AD_TOP_ROWS_MAX;
    ad_top_advance(&r->state, view.now_s + r->state.offset_s);
    if (r->screen) {
        ad_top_notice(r, notice, sizeof(notice));
        ad_puts(&out, "\033[H");
    }
    ad_top_screen(&page, &r->state, &view);
    for (i = 0; i <= page.len; i++) {
        if (i < page.len && r->page[i] != '\n') {
            continue;
        }
        ad_put(&out, r->page + from, i - from);
        ad_puts(&out, r->screen ? "\033[K" : "");
        if (i < page.len || !r->screen) {
            ad_puts(&out, r->screen ? "\r\n" : "\n");
        }
        from = i + 1;
    }
    ad_puts(&out, r->screen ? "\033[J" : "");
    return ad_terminal_write(r->out, out.len);
}

static AD_COLD bool ad_top_print_json(struct ad_top_run *r)
{
    struct ad_text out = ad_text_in(r->out, sizeof(r->out));

    ad_top_json_of(&out, &r->state, r->at.url.authority, ad_top_now());
    return ad_terminal_write(r->out, out.len);
}

/* ---- the connections ---- */

/* A piece of the answer to what was asked for. */
static void ad_top_ask_sink(void *to, const uint8_t *data, size_t len)
{
    struct ad_top_run *r = to;
    size_t room = AD_TOP_JSON_MAX - r->answer_len;

    len = len < room ? len : room;
    memcpy(r->answer + r->answer_len, data, len);
    r->answer_len += len;
    r->answer[r->answer_len] = '\0';
}

/* A line of /events (WHATWG HTML 9.2.6). */
static void ad_top_take_line(struct ad_top_run *r)
{
    const char *line = r->line;
    size_t len = r->line_len;

    if (len > 0 && line[len - 1] == '\r') {
        len--;
    }
    if (len > 5 && memcmp(line, "data:", 5) == 0) {
        size_t blank = line[5] == ' ' ? 6 : 5;

        (void)ad_top_event(&r->state, &r->json, line + blank, len - blank,
                           ad_top_now());
    } else if (len > 4 && len < sizeof(r->id) && memcmp(line, "id: ", 4) == 0 &&
               ad_http_is_value(ad_slice_between(line + 4, line + len))) {
        const char *dash = memchr(line, '-', len);
        uint64_t seq;

        (void)snprintf(r->id, sizeof(r->id), "%.*s", (int)(len - 4), line + 4);
        if (dash != NULL && ad_decimal_u64(dash + 1, (size_t)(line + len - dash - 1),
                                           UINT64_MAX, &seq)) {
            r->state.seq = seq;
        }
    }
}

/* A piece of /events. Of an answer that refuses it, nothing is read. */
static AD_COLD void ad_top_stream_sink(void *to, const uint8_t *data, size_t len)
{
    struct ad_top_run *r = to;
    const uint8_t *end = data + len;

    if (r->stream.answer.status != 200) {
        return;
    }
    r->state.connected = r->ever = true;
    r->wait_ms = 0;
    while (data < end) {
        const uint8_t *newline = memchr(data, '\n', (size_t)(end - data));
        size_t n = (size_t)((newline != NULL ? newline : end) - data);

        if (n > sizeof(r->line) - r->line_len) {
            r->line_skip = true;
        } else {
            memcpy(r->line + r->line_len, data, n);
            r->line_len += n;
        }
        data += n;
        if (newline != NULL) {
            if (!r->line_skip) {
                ad_top_take_line(r);
            }
            r->line_len = 0;
            r->line_skip = false;
            data++;
        }
    }
}

static void ad_top_ask(struct ad_top_run *r, const char *path)
{
    r->answer_len = 0;
    r->answer[0] = '\0';
    r->ask_ms = ad_top_ms();
    r->asking = true;
    ad_fetch_begin(&r->ask, &r->at, path, r->args.key, r->ask_head, r->ask_ms);
}

static void ad_top_ask_status(struct ad_top_run *r)
{
    r->asked_ms = ad_top_ms();
    ad_top_ask(r, "/status");
}

/* Open /events: from the latest event on that is known, or all that is kept. */
static void ad_top_open(struct ad_top_run *r)
{
    struct ad_text t = ad_text_in(r->request, sizeof(r->request));

    ad_putf(&t, "GET %s/events?last_event_id=%s HTTP/1.1\r\nHost: %s\r\n"
                "Accept: text/event-stream\r\nConnection: close\r\n",
            r->at.url.prefix, r->id[0] != '\0' ? r->id : "0", r->at.url.authority);
    if (r->args.key[0] != '\0') {
        ad_putf(&t, "Authorization: Bearer %s\r\n", r->args.key);
    }
    ad_puts(&t, "\r\n");
    r->request_len = t.len;
    r->line_len = 0;
    r->line_skip = false;
    r->stream_ms = r->opened_ms = ad_top_ms();
    r->step = AD_TOP_STREAMS;
    ad_fetch_begin_with(&r->stream, &r->at, (const uint8_t *)r->request, r->request_len,
                        r->stream_head, sizeof(r->stream_head), r->stream_ms);
}

/* End with an exit code, and say why. The terminal is given back before. */
static void AD_PRINTF(2, 3) ad_top_fail(struct ad_top_run *r, const char *fmt, ...)
{
    va_list args;

    if (r->screen) {
        ad_terminal_leave(&r->terminal);
        r->screen = false;
    }
    (void)fprintf(stderr, "aidash top: ");
    va_start(args, fmt);
    (void)vfprintf(stderr, fmt, args);
    va_end(args);
    (void)fprintf(stderr, "\n");
    r->result = AD_EXIT_FAILED;
}

/* The connection is lost, or there is none: wait, then connect again. The first time
 * it ends instead, as the place may be a wrong one. */
static void ad_top_lose(struct ad_top_run *r, const char *why)
{
    ad_fetch_end(&r->ask, AD_FETCH_IDLE);
    ad_fetch_end(&r->stream, AD_FETCH_IDLE);
    r->asking = false;
    r->state.connected = false;
    if (!r->ever || r->args.once) {
        ad_top_fail(r, "%s at %s%s: %s", "no aidash answers",
                    ad_url_scheme(r->at.url.tls), r->at.url.authority, why);
        return;
    }
    r->wait_ms = r->wait_ms == 0 ? AD_TOP_AGAIN_MS : 2 * r->wait_ms;
    r->wait_ms = r->wait_ms < AD_TOP_AGAIN_MAX_MS ? r->wait_ms : AD_TOP_AGAIN_MAX_MS;
    r->again_ms = ad_top_ms() + r->wait_ms;
    r->step = AD_TOP_WAITS;
    (void)snprintf(r->why, sizeof(r->why), "%s", why);
}

/* Why a request got no whole answer. */
static const char *ad_top_reason(const struct ad_fetch *q)
{
    const char *fact = ad_dial_fact(&q->dial);

    if (fact[0] != '\0') {
        return fact;
    }
    if (q->lacks) {
        return "this machine has no descriptor left";
    }
    return q->dial.step == AD_DIAL_NONE ? "it can't be reached"
                                        : "it gives no whole answer";
}

/* An answer that is not 200, before the stream. */
static void ad_top_refused(struct ad_top_run *r, unsigned status)
{
    const char *place = r->at.url.authority;
    bool key = r->args.key[0] != '\0';

    if (status == 401) {
        ad_top_fail(r, "%s %s (401). On its machine, `aidash keys add NAME --rights view` "
                       "prints a key:\nput it in a file that only you can read, and name "
                       "that by --key-file FILE.\nA browser is let in by `aidash pair`.",
                    place, key ? "does not know this key, or no longer" : "asks for a key");
    } else if (status == 403) {
        ad_top_fail(r, "%s refuses (403): %s", place,
                    key ? "the key may not view. On its machine, `aidash keys add NAME "
                          "--rights view` prints one that may."
                        : "it shows itself to its own machine alone, or not by this "
                          "name. Run `aidash top` there,\nor start it with --view open, "
                          "--view remote-key and `aidash keys add`, or --allow-host.");
    } else if (status >= 300 && status < 400) {
        ad_top_fail(r, "%s leads elsewhere (%u): if it serves TLS, name it as "
                       "https://%s", place, status, place);
    } else if (status == 429 || status >= 500) {
        char why[64];

        (void)snprintf(why, sizeof(why), "it answered %u", status);
        ad_top_lose(r, why);
    } else {
        ad_top_fail(r, "what answers at %s is no aidash, or an old one (%u)", place,
                    status);
    }
}

/* What was asked for is answered, or not. */
static AD_COLD void ad_top_asked(struct ad_top_run *r)
{
    unsigned status = r->ask.answer.status;
    bool whole = r->ask.state == AD_FETCH_DONE;
    const char *why = ad_top_reason(&r->ask);

    r->asking = false;
    if (!whole && r->step == AD_TOP_STREAMS) {
        ad_fetch_end(&r->ask, AD_FETCH_IDLE);
        return; /* the stream tells whether it is still there */
    }
    if (!whole) {
        ad_top_lose(r, why);
        return;
    }
    ad_fetch_end(&r->ask, AD_FETCH_IDLE);
    if (r->step == AD_TOP_ASKS_MORE) {
        if (status == 200) {
            ad_top_requests(&r->state, &r->json, r->answer, r->answer_len);
        }
        ad_top_open(r);
    } else if (status != 200) {
        if (r->step == AD_TOP_ASKS) {
            ad_top_refused(r, status);
        }
    } else if (!ad_top_status(&r->state, &r->json, r->answer, r->answer_len,
                              ad_top_now())) {
        ad_top_fail(r, "what answers at %s is no aidash", r->at.url.authority);
    } else if (r->step == AD_TOP_ASKS) {
        r->step = AD_TOP_ASKS_MORE;
        ad_top_ask(r, "/requests?last=32");
    }
}

/* The stream has ended, or did not begin. */
static void ad_top_streamed(struct ad_top_run *r)
{
    unsigned status = r->stream.answer.status;

    if (status != 0 && status != 200) {
        ad_fetch_end(&r->stream, AD_FETCH_IDLE);
        ad_top_refused(r, status);
    } else {
        ad_top_lose(r, status == 0 ? ad_top_reason(&r->stream) : "connection lost");
    }
}

/* One of the two: it goes on if its socket is ready, or its time is over. That begins
 * anew with each step of the connection, and of the stream, which need not end, with
 * each piece behind its head. All else has its time and its size in all, so that no
 * server holds us by an answer that never ends. */
static void ad_top_pump(struct ad_top_run *r, struct ad_fetch *q, bool ready,
                        uint32_t *since_ms, uint32_t limit_ms, ad_fetch_sink *sink)
{
    uint32_t now_ms = ad_top_ms();
    uint8_t step = q->dial.step;

    if (ready) {
        ad_fetch_event(q, sink, r);
        if (q == &r->stream && q->answer.status != 0) {
            q->received = 0;
            *since_ms = now_ms;
        } else if (q->dial.step != step) {
            *since_ms = now_ms;
        }
    }
    if (q->state == AD_FETCH_CONNECT && now_ms - *since_ms >= AD_CONNECT_MS) {
        ad_dial_late(&q->dial);
        ad_fetch_dialled(q);
        *since_ms = now_ms;
    } else if (ad_fetch_wants(q) != 0 && now_ms - *since_ms >= limit_ms) {
        ad_fetch_give_up(q);
    }
}

/* Wait for what comes first: bytes, a key, a signal, or `wait_ms`. */
static AD_COLD void ad_top_turn(struct ad_top_run *r, int wait_ms)
{
    struct pollfd fds[4] = {{ad_terminal_signal.pipe[0], POLLIN, 0},
                            {r->screen && r->terminal.raw ? STDIN_FILENO : -1, POLLIN, 0},
                            {-1, 0, 0},
                            {-1, 0, 0}};
    struct ad_fetch *const q[2] = {&r->ask, &r->stream};
    const bool on[2] = {r->asking, r->step == AD_TOP_STREAMS};
    char bytes[64];
    unsigned i;
    ssize_t n;

    for (i = 0; i < 2; i++) {
        if (on[i] && ad_fetch_wants(q[i]) != 0) {
            fds[2 + i].fd = q[i]->dial.fd;
            fds[2 + i].events = ad_fetch_wants(q[i]) == AD_OUT ? POLLOUT : POLLIN;
        } else if (on[i]) {
            wait_ms = 0; /* it is over */
        }
    }
    if (poll(fds, AD_COUNT(fds), wait_ms) < 0) {
        return;
    }
    if (fds[0].revents != 0) {
        (void)!read(ad_terminal_signal.pipe[0], bytes, sizeof(bytes));
    }
    if (fds[1].revents != 0) {
        n = read(STDIN_FILENO, bytes, sizeof(bytes));
        for (; n > 0; n--) {
            if (bytes[n - 1] == 'q' || bytes[n - 1] == 'Q' || bytes[n - 1] == 4) {
                r->result = AD_EXIT_OK;
            }
        }
        if ((fds[1].revents & (POLLHUP | POLLERR | POLLNVAL)) != 0) {
            r->result = AD_EXIT_OK;
        }
    }
    if (on[0]) {
        ad_top_pump(r, q[0], fds[2].revents != 0, &r->ask_ms, 2 * AD_FETCH_MS,
                    ad_top_ask_sink);
        if (ad_fetch_wants(q[0]) == 0) {
            ad_top_asked(r);
        }
    }
    if (on[1] && r->step == AD_TOP_STREAMS) {
        ad_top_pump(r, q[1], fds[3].revents != 0, &r->stream_ms, AD_TOP_SILENCE_MS,
                    ad_top_stream_sink);
        if (ad_fetch_wants(q[1]) == 0) {
            ad_top_streamed(r);
        }
    }
}

/* ---- the run ---- */

/* Is all there that --once prints? */
static bool ad_top_complete(const struct ad_top_run *r)
{
    return r->state.connected &&
           (!((double)r->state.seq + 1 < r->state.next_seq) ||
            ad_top_ms() - r->opened_ms >= AD_TOP_REPLAY_MS);
}

/* Until q, a signal, or the end of --once. Returns the exit code. */
static AD_COLD int ad_top_loop(struct ad_top_run *r)
{
    uint32_t every_ms = r->args.json ? AD_TOP_JSON_MS : AD_TOP_DRAW_MS;
    uint32_t shown_ms = ad_top_ms() - every_ms;

    ad_top_ask_status(r);
    r->step = AD_TOP_ASKS;
    while (r->result < 0) {
        uint32_t now_ms = ad_top_ms();
        bool due = now_ms - shown_ms >= every_ms || ad_terminal_signal.resized != 0;

        if (ad_terminal_signal.quit != 0) {
            return AD_EXIT_OK;
        }
        if (ad_terminal_signal.stop != 0) {
            ad_top_suspend(r);
            due = r->screen;
        }
        if (r->args.once && ad_top_complete(r)) {
            return (r->args.json ? ad_top_print_json(r) : ad_top_draw(r))
                       ? AD_EXIT_OK
                       : AD_EXIT_FAILED;
        }
        if (!r->args.once && (r->ever || r->screen) && due) {
            shown_ms = now_ms;
            ad_terminal_signal.resized = 0;
            if (!(r->args.json ? ad_top_print_json(r) : ad_top_draw(r))) {
                return AD_EXIT_OK;
            }
        }
        if (r->step == AD_TOP_WAITS && (int32_t)(now_ms - r->again_ms) >= 0) {
            r->step = AD_TOP_ASKS;
            ad_top_ask_status(r);
        } else if (r->step == AD_TOP_STREAMS && !r->asking &&
                   now_ms - r->asked_ms >= AD_TOP_STATUS_MS) {
            ad_top_ask_status(r);
        }
        ad_top_turn(r, 50);
    }
    return r->result;
}

/* aidash top; argv[0] is its name. Returns the exit code. */
static AD_COLD int ad_top_main(int argc, char **argv)
{
    struct ad_top_run r;
    const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");
    bool terminal = isatty(STDOUT_FILENO) == 1 && term != NULL && term[0] != '\0' &&
                    strcmp(term, "dumb") != 0;
    int code;

    memset(&r, 0, sizeof(r));
    ad_top_begin(&r.state);
    r.result = -1;
    code = ad_top_arguments(&r.args, argc, argv);
    if (code < 0) {
        code = ad_top_find(&r);
    }
    if (code >= 0) {
        return code;
    }
    if (!ad_terminal_listen()) {
        (void)fprintf(stderr, "aidash top: %s\n", strerror(errno));
        return AD_EXIT_FAILED;
    }
    r.args.once = r.args.once || (!r.args.json && !terminal);
    r.screen = !r.args.once && !r.args.json;
    r.colours = terminal && !r.args.json && (no_color == NULL || no_color[0] == '\0');
    r.utf8 = ad_terminal_has_utf8();
    if (r.screen) {
        ad_terminal_enter(&r.terminal);
    }
    code = ad_top_loop(&r);
    if (r.screen) {
        ad_terminal_leave(&r.terminal);
    }
    return code;
}

#endif /* AD_TOP */

#endif
