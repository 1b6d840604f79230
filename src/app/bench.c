/* bench.c - `aidash bench`: lets a running aidash measure its engine, and prints
 * what it finds. The main thread; it owns no state but a signal's mark.
 */
#ifndef AD_APP_BENCH_C
#define AD_APP_BENCH_C

#include "config_engines.c"
#include "engines.c"
#include "options.c"

#if !defined(AIDASH_NO_MAIN) && AIDASH_METER

enum {
    AD_BENCH_ANSWER_MAX = 16384, /* bytes of an answer of aidash */
    AD_BENCH_POLL_MS = 500       /* between two questions about its state */
};
_Static_assert((AD_BENCH_STEPS + 1) * AD_BENCH_JSON_MAX < AD_BENCH_ANSWER_MAX,
               "a result fits");

enum { AD_BENCH_KEY_MAX = 512 }; /* bytes of a key or token */

/* What was asked for on the command line. */
struct ad_bench_args {
    const char *model, *streams; /* NULL: not given */
    uint64_t prompt_tokens, max_tokens; /* 0: not given */
    bool json;
    const char *place; /* HOST:PORT or a URL */
    char key[AD_BENCH_KEY_MAX + 3]; /* "": none; with room for CR or LF */
};

static volatile sig_atomic_t ad_bench_interrupted;

static void ad_bench_on_signal(int number)
{
    (void)number;
    ad_bench_interrupted = 1;
}

/* ---- the arguments ---- */

static void ad_bench_help(void)
{
    printf("usage: aidash bench [options] [HOST:PORT]\n\n"
           "Let the aidash at HOST:PORT (default 127.0.0.1:8080) measure the engine "
           "behind it,\nwith prompts of its own, at several requests at once; Ctrl-C "
           "stops it. In the table,\nrates are tokens per second, TTFT (time to the "
           "first token) and token (time between\ntwo of them) milliseconds, others "
           "requests of others.\n\n"
           "  --model M        the model to measure (default: the one that aidash "
           "shows)\n"
           "  --streams 1,4,8  requests at once, one step each, up to %d (default "
           "1,4,8)\n"
           "  --prompt N       tokens of a prompt, about; 1 to %d (default %d)\n"
           "  --tokens N       tokens of an answer; %d to %d (default %d)\n"
           "  --key-file FILE  file with a key of that aidash (aidash keys add NAME "
           "--rights\n                   view,control), where it asks for one\n"
           "  --json           print the result as GET /bench has it\n"
           "  --help           print this help and exit (-h)\n\n"
           "It takes %d s at most. exit codes: 0 it has ended, 1 it failed or was "
           "stopped,\n2 wrong option\n",
           AIDASH_BENCH_STREAMS, AD_BENCH_PROMPT_MAX, AD_BENCH_PROMPT,
           AD_BENCH_TOKENS_MIN, AD_BENCH_TOKENS_MAX, AD_BENCH_TOKENS,
           AIDASH_BENCH_S);
}

/* Is it a list of 1 to AD_BENCH_STEPS numbers of streams? */
static bool ad_bench_streams_ok(const char *list)
{
    unsigned n = 0;

    for (;;) {
        size_t len = strcspn(list, ",");
        uint64_t value;

        if (!ad_decimal_u64(list, len, AIDASH_BENCH_STREAMS, &value) ||
            value < 1 || ++n > AD_BENCH_STEPS) {
            return false;
        }
        if (list[len] == '\0') {
            return true;
        }
        list += len + 1;
    }
}

/* The key is the first line of a file. */
static bool ad_bench_key_file(struct ad_bench_args *a, const char *path)
{
    FILE *f = fopen(path, "r");
    struct ad_slice key;

    if (f != NULL) {
        (void)!fgets(a->key, (int)sizeof(a->key), f);
        (void)fclose(f);
    }
    a->key[strcspn(a->key, "\r\n")] = '\0';
    key = ad_slice_of(a->key);
    return key.len > 0 && key.len <= AD_BENCH_KEY_MAX && ad_http_is_value(key);
}

/* Take the option `name` (without its dashes) with its value. False if it is
 * wrong, which was printed. */
static bool ad_bench_option(struct ad_bench_args *a, const char *name, size_t len,
                            const char *value)
{
    static const char *const known[] = {"model", "streams", "prompt", "tokens",
                                        "key-file"};
    bool prompt = len == 6 && strncmp(name, known[2], len) == 0;
    bool tokens = len == 6 && strncmp(name, known[3], len) == 0;
    char word[32];

    if (len == 5 && strncmp(name, known[0], len) == 0) {
        a->model = value;
        if (ad_name_ok(value, strlen(value), AIDASH_MODEL_MAX)) {
            return true;
        }
    } else if (len == 7 && strncmp(name, known[1], len) == 0) {
        a->streams = value;
        if (ad_bench_streams_ok(value)) {
            return true;
        }
    } else if (prompt || tokens) {
        uint64_t low = prompt ? 1 : AD_BENCH_TOKENS_MIN;
        uint64_t high = prompt ? AD_BENCH_PROMPT_MAX : AD_BENCH_TOKENS_MAX;
        uint64_t *to = prompt ? &a->prompt_tokens : &a->max_tokens;

        if (ad_decimal_u64(value, strlen(value), high, to) && *to >= low) {
            return true;
        }
    } else if (len == 8 && strncmp(name, known[4], len) == 0) {
        if (ad_bench_key_file(a, value)) {
            return true;
        }
    } else {
        (void)snprintf(word, sizeof(word), "%.*s", (int)(len < 31 ? len : 31), name);
        (void)fprintf(stderr,
                      "aidash bench: unknown option --%s; the nearest is --%s "
                      "(--help lists all)\n",
                      word, ad_nearest(word, known, AD_COUNT(known)));
        return false;
    }
    (void)fprintf(stderr, "aidash bench: --%.*s: '%s' is not possible (--help "
                          "says what is)\n",
                  (int)len, name, value);
    return false;
}

/* argv[0] is the command's name. Returns -1 to go on, or the exit code. */
static int ad_bench_arguments(struct ad_bench_args *a, int argc, char **argv)
{
    int i;

    for (i = 1; i < argc; i++) {
        const char *arg = argv[i], *equals = strchr(arg, '=');
        size_t len = equals != NULL ? (size_t)(equals - arg) : strlen(arg);

        if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0) {
            ad_bench_help();
            return AD_EXIT_OK;
        }
        if (strcmp(arg, "--json") == 0) {
            a->json = true;
        } else if (strncmp(arg, "--", 2) == 0) {
            if (equals == NULL && i + 1 == argc) {
                (void)fprintf(stderr, "aidash bench: %s needs a value\n", arg);
                return AD_EXIT_USAGE;
            }
            if (!ad_bench_option(a, arg + 2, len - 2,
                                 equals != NULL ? equals + 1 : argv[++i])) {
                return AD_EXIT_USAGE;
            }
        } else if (arg[0] == '-' || a->place != NULL) {
            (void)fprintf(stderr, "aidash bench: '%s' is too much (--help lists "
                                  "all)\n", arg);
            return AD_EXIT_USAGE;
        } else {
            a->place = arg;
        }
    }
    return -1;
}

/* ---- asking aidash ---- */

/* An answer's body, with a NUL. */
struct ad_bench_answer {
    unsigned status; /* 0: nothing answers */
    size_t len;
    char text[AD_BENCH_ANSWER_MAX + 1];
};

static void ad_bench_sink(void *to, const uint8_t *data, size_t len)
{
    struct ad_bench_answer *a = to;
    size_t room = AD_BENCH_ANSWER_MAX - a->len;

    len = len < room ? len : room;
    memcpy(a->text + a->len, data, len);
    a->len += len;
    a->text[a->len] = '\0';
}

/* GET a path, or POST to it. Each step may take five seconds. */
static void ad_bench_http(const struct ad_bench_args *a,
                          struct ad_upstream *at, const char *path,
                          const char *post, struct ad_bench_answer *answer)
{
    struct ad_fetch q;
    char head[AD_FETCH_HEAD_MAX];

    answer->len = 0;
    answer->text[0] = '\0';
    ad_fetch_begin(&q, at, path, a->key, head, 0);
    q.post = post;
    ad_fetch_run(&q, AD_FETCH_MS, ad_bench_sink, answer);
    answer->status = q.state == AD_FETCH_DONE ? q.answer.status : 0;
    ad_fetch_end(&q, AD_FETCH_IDLE);
}

/* A text of an object as plain characters; "" if it is not there. */
static void ad_bench_text(const struct ad_json *j, const char *key, char *out,
                          size_t cap)
{
    const jsmntok_t *t = ad_json_get(j, key);

    if (t == NULL || !ad_json_name(j, t, out, cap - 1)) {
        out[0] = '\0';
    }
}

/* A number of an object; -1 if it is not there. */
static double ad_bench_number(const struct ad_json *j, const char *key)
{
    const jsmntok_t *t = ad_json_get(j, key);

    return t != NULL && ad_json_is_number(j, t)
               ? ad_json_double(j->text + t->start, ad_json_len(t))
               : -1;
}

/* The sentence in an answer that refuses: of an error event, or of an HTTP error,
 * {"error":{"message":...}}. "" if there is none. */
static void ad_bench_sentence(const struct ad_bench_answer *answer, char *out,
                              size_t cap)
{
    const jsmntok_t *inner;
    struct ad_json j, error;

    out[0] = '\0';
    if (ad_json_object(&j, answer->text, answer->len) != AD_FAULT_NONE) {
        return;
    }
    inner = ad_json_get(&j, "error");
    if (inner != NULL && inner->type == JSMN_OBJECT &&
        ad_json_object(&error, j.text + inner->start, ad_json_len(inner)) ==
            AD_FAULT_NONE) {
        ad_bench_text(&error, "message", out, cap);
    } else {
        ad_bench_text(&j, "message", out, cap);
    }
}

/* Say what is wrong when aidash did not do as it was told. */
static void ad_bench_refused(struct ad_upstream *at,
                             const struct ad_bench_answer *answer)
{
    char why[256];

    if (answer->status == 0) {
        (void)fprintf(stderr,
                      "aidash bench: no aidash answers at %s. Start one in front of "
                      "your engine:\n  aidash --upstream http://HOST:PORT\nor name "
                      "the place of one: aidash bench HOST:PORT\n",
                      at->url.authority);
        return;
    }
    ad_bench_sentence(answer, why, sizeof(why));
    if (why[0] != '\0') {
        (void)fprintf(stderr, "aidash bench: %s\n", why);
    } else {
        (void)fprintf(stderr, "aidash bench: what answers at %s is no aidash (%u)\n",
                      at->url.authority, answer->status);
    }
}

/* Begin. Returns the benchmark's number, or 0, which was explained. */
static uint64_t ad_bench_start(const struct ad_bench_args *a,
                               struct ad_upstream *at,
                               struct ad_bench_answer *answer)
{
    char post[AD_FETCH_POST_MAX];
    struct ad_text t = ad_text_in(post, sizeof(post) - 1);
    const jsmntok_t *number;
    struct ad_json j;
    uint64_t id = 0;

    ad_puts(&t, "{\"action\":\"bench\"");
    if (a->model != NULL) {
        ad_puts(&t, ",\"model\":");
        ad_put_string(&t, a->model);
    }
    if (a->streams != NULL) {
        ad_putf(&t, ",\"streams\":[%s]", a->streams);
    }
    if (a->prompt_tokens > 0) {
        ad_put_count(&t, "prompt_tokens", a->prompt_tokens);
    }
    if (a->max_tokens > 0) {
        ad_put_count(&t, "max_tokens", a->max_tokens);
    }
    ad_puts(&t, "}");
    post[t.len] = '\0';
    ad_bench_http(a, at, "/command", post, answer);
    if (answer->status == 200 &&
        ad_json_object(&j, answer->text, answer->len) == AD_FAULT_NONE) {
        number = ad_json_get(&j, "bench");
        if (number != NULL) {
            (void)ad_json_u64(&j, number, AD_TOTAL_LIMIT, &id);
        }
    }
    if (id == 0) {
        ad_bench_refused(at, answer);
    }
    return id;
}

/* ---- printing ---- */

/* The next object of the list at *list, which ends with ]: false if there is none.
 * Its texts have no brackets of their own outside of strings. */
static bool ad_bench_element(const char **list, struct ad_slice *element)
{
    const char *at = *list + strspn(*list, ", ");
    bool string = false;
    int depth = 0;

    element->at = at;
    for (; *at != '\0'; at++) {
        if (string) {
            if (*at == '\\' && at[1] != '\0') {
                at++;
            } else if (*at == '"') {
                string = false;
            }
        } else if (*at == '"') {
            string = true;
        } else if (*at == '{' || *at == '[') {
            depth++;
        } else if (*at == '}' || *at == ']') {
            depth--;
            if (depth <= 0) {
                break;
            }
        }
    }
    if (depth < 0 || *at == '\0') {
        return false;
    }
    element->len = (size_t)(at + 1 - element->at);
    *list = at + 1;
    return true;
}

static void ad_bench_cell(double value, int width, int decimals)
{
    if (value < 0) {
        printf("%*s", width, "-");
    } else {
        printf("%*.*f", width, decimals, value);
    }
}

static void ad_bench_print_step(const struct ad_json *j)
{
    ad_bench_cell(ad_bench_number(j, "streams"), 7, 0);
    ad_bench_cell(ad_bench_number(j, "prefill_tokens_per_second"), 11, 1);
    printf("%s", ad_json_get(j, "prefill_by_ttft") != NULL ? "*" : " ");
    ad_bench_cell(ad_bench_number(j, "decode_tokens_per_second"), 10, 1);
    ad_bench_cell(ad_bench_number(j, "tokens_per_second"), 10, 1);
    ad_bench_cell(ad_bench_number(j, "ttft_p50_ms"), 11, 0);
    ad_bench_cell(ad_bench_number(j, "ttft_p95_ms"), 9, 0);
    ad_bench_cell(ad_bench_number(j, "itl_p50_ms"), 12, 1);
    ad_bench_cell(ad_bench_number(j, "itl_p95_ms"), 9, 1);
    ad_bench_cell(ad_bench_number(j, "others"), 8, 0);
    printf("\n");
}

/* Print the steps from number *shown on. */
static void ad_bench_print_steps(const char *json, unsigned *shown)
{
    static const char begin[] = "\"steps\":[";
    const char *list = strstr(json, begin);
    struct ad_slice element;
    unsigned n = 0;

    if (list == NULL) {
        return;
    }
    list += strlen(begin);
    while (ad_bench_element(&list, &element)) {
        struct ad_json j;

        if (n++ < *shown ||
            ad_json_object(&j, element.at, element.len) != AD_FAULT_NONE) {
            continue;
        }
        if (*shown == 0) {
            printf("streams  prefill/s   decode/s   total/s   TTFT p50      p95   "
                   "token p50      p95  others\n");
        }
        (*shown)++;
        ad_bench_print_step(&j);
    }
    (void)fflush(stdout);
}

/* Where a result's own members end and its steps begin, it is an object: read it
 * into *j from `own`. False if it is none. */
static bool ad_bench_own(const char *json, char *own, size_t cap, struct ad_json *j)
{
    const char *begin = strstr(json, "[{"), *end = strstr(json, ",\"steps\":[");

    if (begin == NULL || end == NULL || end < begin ||
        (size_t)(end - begin) >= cap) {
        return false;
    }
    (void)snprintf(own, cap, "%.*s}", (int)(end - begin - 1), begin + 1);
    return ad_json_object(j, own, strlen(own)) == AD_FAULT_NONE;
}

/* ---- the run ---- */

/* Wait for AD_BENCH_POLL_MS, or a signal. */
static void ad_bench_wait(void)
{
    struct timespec pause = {0, AD_BENCH_POLL_MS * (long)AD_NS_PER_MS};

    (void)nanosleep(&pause, NULL);
}

/* Follow the benchmark `id` to its end. Returns the exit code. */
static int ad_bench_follow(const struct ad_bench_args *a,
                           struct ad_upstream *at, uint64_t id,
                           struct ad_bench_answer *answer)
{
    char path[64], state[16], reason[AD_BENCH_REASON], own[AD_BENCH_JSON_MAX];
    unsigned shown = 0;
    bool told = false;
    struct ad_json j;

    (void)snprintf(path, sizeof(path), "/bench?id=%llu", (unsigned long long)id);
    for (;;) {
        if (ad_bench_interrupted != 0 && !told) {
            told = true;
            ad_bench_http(a, at, "/command", "{\"action\":\"bench_stop\"}", answer);
        }
        ad_bench_http(a, at, path, NULL, answer);
        if (answer->status != 200 || !ad_bench_own(answer->text, own, sizeof(own),
                                                   &j)) {
            (void)fprintf(stderr, "aidash bench: aidash at %s has gone\n",
                          at->url.authority);
            return AD_EXIT_FAILED;
        }
        if (!a->json) {
            ad_bench_print_steps(answer->text, &shown);
        }
        ad_bench_text(&j, "state", state, sizeof(state));
        if (strcmp(state, "running") != 0) {
            break;
        }
        ad_bench_wait();
    }
    if (a->json) {
        printf("%s\n", answer->text);
    } else if (strstr(answer->text, "\"prefill_by_ttft\":true") != NULL) {
        printf("* the engine tells no time of its own: the prompt's tokens over the "
               "time to the\n  first token\n");
    }
    if (strcmp(state, "ended") == 0) {
        return AD_EXIT_OK;
    }
    ad_bench_text(&j, "reason", reason, sizeof(reason));
    (void)fprintf(stderr, "aidash bench: %s: %s\n", state,
                  told ? "interrupted" : reason);
    return AD_EXIT_FAILED;
}

/* aidash bench; argv[0] is its name. Returns the exit code. */
static int ad_bench_main(int argc, char **argv)
{
    static const char scheme[] = "http://";
    struct ad_bench_args a = {0};
    struct ad_bench_answer answer;
    struct ad_upstream at;
    struct sigaction act;
    char url[256];
    uint64_t id;
    int code = ad_bench_arguments(&a, argc, argv), error;

    if (code >= 0) {
        return code;
    }
    if (a.place == NULL) {
        a.place = "127.0.0.1:8080";
    }
    (void)snprintf(url, sizeof(url), "%s%s",
                   strncmp(a.place, scheme, strlen(scheme)) == 0 ? "" : scheme,
                   a.place);
    if (ad_upstream_at("HOST:PORT", url, strlen(url), &at) != 0) {
        (void)fprintf(stderr, "aidash bench: %s\n", ad_failure.text);
        return AD_EXIT_USAGE;
    }
    error = ad_upstream_resolve(&at);
    if (error != 0) {
        (void)fprintf(stderr, "aidash bench: '%s' can't be resolved (%s)\n",
                      at.url.host, gai_strerror(error));
        return AD_EXIT_FAILED;
    }
    memset(&act, 0, sizeof(act));
    act.sa_handler = ad_bench_on_signal;
    (void)sigaction(SIGINT, &act, NULL);
    (void)sigaction(SIGTERM, &act, NULL);
    id = ad_bench_start(&a, &at, &answer);
    return id == 0 ? AD_EXIT_FAILED : ad_bench_follow(&a, &at, id, &answer);
}

#endif

#endif
