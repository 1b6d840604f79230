/* verdict.c - why an engine is slow: compares what requests measure with what is
 * usual for their model (meter/baseline.c), and says what was different meanwhile
 * (board/marks.c): the event `verdict`.
 * Owns ad_verdicts. Hub thread only.
 *
 * A verdict needs several slow figures in a row, and says only what was measured: a
 * mark is a cause if it was there in a good part of the slow time, and in few of the
 * requests that made what is usual.
 */
#ifndef AD_BOARD_VERDICT_C
#define AD_BOARD_VERDICT_C

#include "../core/engine.c"
#include "../core/events.c"
#include "../meter/reports.c"
#include "history_file.c"
#include "marks.c"

#if AIDASH_METER && AIDASH_BASELINES

enum {
    AD_VERDICT_WATCHED = 8,   /* models, twice if both figures are told */
    AD_VERDICT_SLOW = 3,      /* slow figures in a row with a cause: a verdict */
    AD_VERDICT_UNKNOWN = 5,   /* and without one, each below AD_VERDICT_CLEAR */
    AD_VERDICT_CLEAR = 60,    /* percent of what is usual */
    AD_VERDICT_USUAL = 2,     /* usual figures in a row: it is over */
    AD_VERDICT_TOKENS = 16,   /* an answer with fewer has no speed */
    AD_VERDICT_WINDOW_S = 10, /* of a running answer, judged as one figure */
    AD_VERDICT_SHARE = 30,    /* percent of the slow time that a cause was there */
    AD_VERDICT_RARE = 25,     /* and of the usual requests with it at most */
    AD_VERDICT_WAIT_MS = 2000, /* a wait that much longer than usual is worth a word */
    AD_VERDICT_EXPIRES_S = 120, /* without a figure for so long it is over */
    AD_VERDICT_AGAIN_S = 10,  /* one that lasts is told again, for new viewers */
    AD_VERDICT_LEARN = 4,     /* of slow figures without a cause one in so many is */
    AD_VERDICT_LEARN_CAUSED = 32, /* learned, and with a cause: what lasts for good
                                   * becomes usual in the end */
    AD_VERDICT_SENTENCE = 224,
    /* Bytes of an event: names, fixed words, numbers 420, the model and the sentence
     * (which may name it) with each character escaped. */
    AD_VERDICT_MAX = 420 + 2 * AIDASH_MODEL_MAX + 2 * AD_VERDICT_SENTENCE
};
_Static_assert((int)AD_VERDICT_MAX <= (int)AD_EVENT_MAX, "it is an event");

/* A figure of a request, or of a piece of one. */
struct ad_speed {
    struct ad_baseline_place place;
    char model[AIDASH_MODEL_MAX + 1];
    double value;              /* as enum ad_figure says */
    uint64_t from_ns, to_ns;   /* its time */
    unsigned streams;          /* requests at once, the mean */
    bool running;              /* a piece of an answer: judged, not learned */
    bool judged;               /* its pieces were: learned, not judged */
    double fill, cpu_share;    /* of its context and its model, 0 to 1 */
    uint8_t draft;             /* as in a baseline */
    double per_event;          /* tokens of an event; 0: not known */
    double parts_ms[AD_CAUSES]; /* of a wait: what it had of each cause */
    uint64_t tokens;           /* of the prompt that were read, or of the thinking */
};

/* What is watched of a model. */
struct ad_verdict {
    uint64_t key; /* of the model and its engine; 0: free */
    uint8_t figure;
    bool on;
    uint8_t cause, also;       /* enum ad_cause; also 0: nothing else */
    uint8_t slow, caused, clear, usual_run; /* in a row */
    uint8_t learn;             /* slow figures since one was learned */
    double value, usual;       /* as told */
    uint64_t slow_ns, since_us; /* when the first slow one of a row began; Unix time */
    uint64_t last_ns, told_ns; /* of the latest figure, of the latest event */
    char model[AIDASH_MODEL_MAX + 1];
    char sentence[AD_VERDICT_SENTENCE];
};

static struct {
    struct ad_verdict list[AD_VERDICT_WATCHED];
    /* Told of each verdict that begins, changes or ends; NULL: nobody. [I] */
    void (*told)(const struct ad_verdict *v);
} ad_verdicts;

/* ---- the sentence ---- */

static void ad_say_age(struct ad_text *t, uint64_t since_ns)
{
    ad_put_span_s(t, ad_hub.now_ns > since_ns ? (ad_hub.now_ns - since_ns) / AD_NS_PER_S
                                              : 0);
}

/* A number with one decimal below 100. */
static void ad_say_number(struct ad_text *t, double value)
{
    ad_put_fixed(t, value, value < 100 ? 1 : 0);
}

static void ad_say_bytes(struct ad_text *t, double bytes)
{
    ad_say_number(t, bytes >= 1e9 ? bytes / 1e9 : bytes / 1e6);
    ad_puts(t, bytes >= 1e9 ? " GB" : " MB");
}

/* Why a clock is low, in a word; "": the evidence does not reach. */
static const char *ad_say_reason(unsigned also)
{
    return also == AD_CAUSE_UNDER_VOLTAGE ? " (under-voltage)"
           : also == AD_CAUSE_OVER_CURRENT ? " (over-current)"
           : also == AD_CAUSE_THERMAL      ? " (thermal)"
           : also == AD_CAUSE_THROTTLED    ? " (throttled by the firmware)"
                                           : "";
}

static void ad_say_clock(struct ad_text *t, enum ad_cause clock, unsigned why)
{
    const struct ad_mark *m = &ad_marks.list[clock];

    ad_putf(t, "the %s clock fell from %.0f to %.0f MHz ",
            clock == AD_CAUSE_GPU_CLOCK ? "GPU" : "CPU", m->usual, m->value);
    ad_say_age(t, m->since_ns);
    ad_puts(t, " ago");
    ad_puts(t, ad_say_reason(why));
}

/* What the evidence for a cause is. */
static void ad_say_cause(struct ad_text *t, const struct ad_speed *s, unsigned cause,
                         const struct ad_baseline *b)
{
    const struct ad_mark *m = &ad_marks.list[cause];
    double ms = s->parts_ms[cause];

    switch ((enum ad_cause)cause) {
    case AD_CAUSE_UNDER_VOLTAGE:
        ad_puts(t, "under-voltage for ");
        ad_say_age(t, m->since_ns);
        break;
    case AD_CAUSE_OVER_CURRENT:
        ad_puts(t, "over-current events for ");
        ad_say_age(t, m->since_ns);
        break;
    case AD_CAUSE_THERMAL:
        ad_puts(t, "the board is slowed down to cool it, for ");
        ad_say_age(t, m->since_ns);
        if (ad_marks.celsius > 0) {
            ad_putf(t, " (%.0f \302\260C)", ad_marks.celsius);
        }
        break;
    case AD_CAUSE_THROTTLED:
        ad_puts(t, "the firmware throttles the board, for ");
        ad_say_age(t, m->since_ns);
        break;
    case AD_CAUSE_GPU_CLOCK:
    case AD_CAUSE_CPU_CLOCK:
        ad_say_clock(t, (enum ad_cause)cause, 0);
        break;
    case AD_CAUSE_CPU_SHARE:
        ad_putf(t, "%.0f %% of the model are on the CPU", s->cpu_share * 100);
        break;
    case AD_CAUSE_SWAP:
        ad_say_bytes(t, m->value);
        ad_puts(t, " of swap are in use, for ");
        ad_say_age(t, m->since_ns);
        break;
    case AD_CAUSE_DISK_WAIT:
        ad_putf(t, "the CPU waits for the disk %.0f %% of its time", m->value);
        break;
    case AD_CAUSE_CPU_STEAL:
        ad_putf(t, "other virtual machines take %.0f %% of the CPU", m->value);
        break;
    case AD_CAUSE_MODEL_LOAD:
        if (s->place.figure == AD_FIGURE_WAIT) {
            ad_puts(t, "the model took ");
            ad_say_number(t, ms / 1000);
            ad_puts(t, " s to load");
        } else {
            ad_puts(t, "another model was loaded meanwhile");
        }
        break;
    case AD_CAUSE_CONTEXT_FULL:
        ad_putf(t, "its context is %.0f %% full", s->fill * 100);
        break;
    case AD_CAUSE_DRAFT:
        ad_putf(t, "%u %% of the drafted tokens were accepted, usually %.0f %%",
                (unsigned)s->draft, b != NULL ? ad_baseline_draft(b) : 0);
        break;
    case AD_CAUSE_STREAMS:
        ad_putf(t, "%u requests run at once", s->streams);
        break;
    case AD_CAUSE_PAUSE:
        ad_puts(t, "requests were paused for ");
        ad_say_number(t, ms / 1000);
        ad_puts(t, " s");
        break;
    case AD_CAUSE_QUEUE:
        ad_say_number(t, ms / 1000);
        ad_puts(t, " s in the queue");
        break;
    case AD_CAUSE_CACHE:
        ad_putf(t, "its prompt was in the cache no more: %llu tokens were read anew",
                (unsigned long long)s->tokens);
        break;
    case AD_CAUSE_THINKING:
        ad_puts(t, "it thought for ");
        ad_say_number(t, ms / 1000);
        ad_puts(t, " s");
        break;
    case AD_CAUSE_UNKNOWN:
    case AD_CAUSES:
        break;
    }
}

/* The whole sentence into v->sentence. */
static void ad_say(struct ad_verdict *v, const struct ad_speed *s,
                   const struct ad_baseline *b)
{
    struct ad_text t = ad_text_in(v->sentence, sizeof(v->sentence) - 1);
    bool clock = v->also == AD_CAUSE_GPU_CLOCK || v->also == AD_CAUSE_CPU_CLOCK;

    if (v->figure == AD_FIGURE_WAIT) {
        ad_puts(&t, "First text after ");
        ad_say_number(&t, 1 / v->value);
        ad_puts(&t, " s, usually ");
        ad_say_number(&t, 1 / v->usual);
    } else {
        ad_say_number(&t, v->value);
        ad_puts(&t, " tok/s, usually ");
        ad_say_number(&t, v->usual);
        ad_puts(&t, v->cause == AD_CAUSE_STREAMS ? " alone" : "");
    }
    if (v->cause == AD_CAUSE_UNKNOWN) {
        ad_puts(&t, "; nothing that is measured here tells why");
    } else if (clock && v->cause <= AD_CAUSE_THROTTLED) {
        ad_puts(&t, ": ");
        ad_say_clock(&t, (enum ad_cause)v->also, v->cause);
    } else {
        ad_puts(&t, ": ");
        ad_say_cause(&t, s, v->cause, b);
        if (v->also != 0) {
            ad_puts(&t, "; and ");
            ad_say_cause(&t, s, v->also, b);
        }
    }
    v->sentence[t.len] = '\0';
}

/* ---- telling it ---- */

/* The members of a verdict from "on" on. */
static void ad_put_verdict(struct ad_text *t, const struct ad_verdict *v)
{
    bool wait = v->figure == AD_FIGURE_WAIT;

    ad_putf(t, "\"on\":%s,\"model\":", v->on ? "true" : "false");
    ad_put_string(t, v->model);
    ad_putf(t, ",\"figure\":\"%s\",\"cause\":\"%s\"", wait ? "wait" : "decode",
            ad_cause_names[v->cause]);
    if (v->also != 0) {
        ad_putf(t, ",\"also\":\"%s\"", ad_cause_names[v->also]);
    }
    ad_puts(t, wait ? ",\"wait_s\":" : ",\"tokens_per_second\":");
    ad_put_fixed(t, wait ? 1 / v->value : v->value, 2);
    ad_puts(t, wait ? ",\"usual_wait_s\":" : ",\"usual_tokens_per_second\":");
    ad_put_fixed(t, wait ? 1 / v->usual : v->usual, 2);
    ad_puts(t, ",\"since\":");
    ad_put_decimal(t, v->since_us, 6);
    ad_puts(t, ",\"sentence\":");
    ad_put_string(t, v->sentence);
}

static void ad_verdict_tell(struct ad_verdict *v)
{
    char json[AD_VERDICT_MAX];
    struct ad_text t = ad_text_in(json, sizeof(json));

    v->told_ns = ad_hub.now_ns;
    ad_puts(&t, "{\"event\":\"verdict\",\"seq\":");
    ad_put_u64(&t, ad_feed.next);
    ad_puts(&t, ",\"time\":");
    ad_put_decimal(&t, ad_hub.now_us, 6);
    ad_puts(&t, ",");
    ad_put_verdict(&t, v);
    ad_puts(&t, "}");
    ad_event_append(AD_EV_VERDICT, &t);
    if (ad_verdicts.told != NULL) {
        ad_verdicts.told(v);
    }
}

/* The verdicts that are on, as a member of /status, with a comma in front. */
static void ad_put_verdicts(struct ad_text *t)
{
    const char *comma = "";
    unsigned i;

    ad_puts(t, ",\"verdicts\":[");
    for (i = 0; i < AD_VERDICT_WATCHED; i++) {
        if (ad_verdicts.list[i].on) {
            ad_puts(t, comma);
            ad_puts(t, "{");
            ad_put_verdict(t, &ad_verdicts.list[i]);
            ad_puts(t, "}");
            comma = ",";
        }
    }
    ad_puts(t, "]");
}

/* ---- judging ---- */

/* What is watched of this model; the place that had no figure for the longest gives
 * way. */
static struct ad_verdict *ad_verdict_of(const struct ad_speed *s)
{
    struct ad_verdict *v = &ad_verdicts.list[0];
    unsigned i;

    for (i = 0; i < AD_VERDICT_WATCHED; i++) {
        struct ad_verdict *one = &ad_verdicts.list[i];

        if (one->key == s->place.key && one->figure == s->place.figure) {
            return one;
        }
        if (one->last_ns < v->last_ns) {
            v = one;
        }
    }
    if (v->on) {
        v->on = false;
        ad_verdict_tell(v);
    }
    memset(v, 0, sizeof(*v));
    v->key = s->place.key;
    v->figure = s->place.figure;
    memcpy(v->model, s->model, sizeof(v->model));
    return v;
}

/* The marks that were there in a good part of its time. */
static uint16_t ad_speed_marks(const struct ad_speed *s)
{
    uint16_t marks = 0;
    unsigned cause;

    for (cause = 1; cause < AD_CAUSE_MARKS; cause++) {
        bool there = ad_mark_share((enum ad_cause)cause, s->from_ns, s->to_ns) * 100 >=
                     AD_VERDICT_SHARE;

        there = there || (cause == AD_CAUSE_CPU_SHARE && s->cpu_share > 0) ||
                (cause == AD_CAUSE_CONTEXT_FULL && s->fill >= 0.9);
        marks = (uint16_t)(marks | (there ? 1u << cause : 0));
    }
    return marks;
}

/* Why decoding is slow: the first two in the order of enum ad_cause, which has what
 * makes others happen first. */
static unsigned ad_speed_causes(const struct ad_speed *s, const struct ad_baseline *b,
                                uint16_t marks, unsigned causes[2])
{
    double draft = ad_baseline_draft(b);
    unsigned cause, n = 0;

    causes[0] = causes[1] = AD_CAUSE_UNKNOWN;
    for (cause = 1; cause < AD_CAUSE_MARKS && n < 2; cause++) {
        uint16_t mark = (uint16_t)(1u << cause);

        if ((marks & mark) != 0 && ad_baseline_marked(b, mark) < AD_VERDICT_RARE) {
            causes[n++] = cause;
        }
    }
    if (n < 2 && draft >= 0 && s->draft != AD_DRAFT_NONE && s->draft + 20 <= draft &&
        s->draft <= 0.6 * draft) {
        causes[n++] = AD_CAUSE_DRAFT;
    }
    return n;
}

/* Why the first text came late: what took most of the time beyond the usual. */
static unsigned ad_wait_causes(const struct ad_speed *s, const struct ad_usual *usual,
                               unsigned causes[2])
{
    double late_ms = 1000 / s->value - 1000 / usual->median, most = 0;
    unsigned cause;

    causes[0] = causes[1] = AD_CAUSE_UNKNOWN;
    if (late_ms < AD_VERDICT_WAIT_MS) {
        return 0;
    }
    for (cause = 1; cause < AD_CAUSES; cause++) {
        if (s->parts_ms[cause] * 2 >= late_ms && s->parts_ms[cause] > most) {
            most = s->parts_ms[cause];
            causes[0] = cause;
        }
    }
    return most > 0;
}

/* How many slow figures in a row a cause needs. What is measured in the request
 * itself and happens once in a while needs one. */
static unsigned ad_verdict_needs(const struct ad_speed *s, unsigned cause)
{
    if (s->place.figure == AD_FIGURE_DECODE) {
        return AD_VERDICT_SLOW;
    }
    return cause == AD_CAUSE_QUEUE || cause == AD_CAUSE_THINKING ? 2 : 1;
}

/* It is slow, because of these. */
static void ad_verdict_slow(struct ad_verdict *v, const struct ad_speed *s,
                            const struct ad_baseline *b, const struct ad_usual *usual,
                            const unsigned causes[2])
{
    bool clear = s->value * 100 < usual->median * AD_VERDICT_CLEAR && !s->running;
    bool sure, news;

    v->usual_run = 0;
    if (v->slow++ == 0) {
        v->slow_ns = s->from_ns;
    }
    v->slow = v->slow == 0 ? UINT8_MAX : v->slow;
    v->caused = (uint8_t)(causes[0] != 0 ? v->caused + (v->caused < UINT8_MAX) : 0);
    v->clear = (uint8_t)(clear ? v->clear + (v->clear < UINT8_MAX) : 0);
    sure = causes[0] != 0
               ? v->caused >= ad_verdict_needs(s, causes[0])
               : s->place.figure == AD_FIGURE_DECODE && v->clear >= AD_VERDICT_UNKNOWN;
    if (!sure) {
        return;
    }
    news = !v->on || v->cause != causes[0] || v->also != causes[1];
    if (!v->on) {
        v->since_us = ad_hub.now_us - (ad_hub.now_ns > v->slow_ns
                                           ? (ad_hub.now_ns - v->slow_ns) / 1000 : 0);
    }
    v->on = true;
    v->cause = (uint8_t)causes[0];
    v->also = (uint8_t)causes[1];
    v->value = s->value;
    v->usual = usual->median;
    ad_say(v, s, b);
    if (news) {
        ad_verdict_tell(v);
    }
}

/* A verdict is over. */
static void ad_verdict_end(struct ad_verdict *v, const char *sentence)
{
    v->slow = v->caused = v->clear = 0;
    if (v->on) {
        v->on = false;
        (void)snprintf(v->sentence, sizeof(v->sentence), "%s", sentence);
        ad_verdict_tell(v);
    }
}

/* It is as fast as usual. */
static void ad_verdict_usual(struct ad_verdict *v, const struct ad_speed *s,
                             const struct ad_usual *usual)
{
    char sentence[AD_VERDICT_SENTENCE];
    struct ad_text t = ad_text_in(sentence, sizeof(sentence) - 1);

    v->usual_run = (uint8_t)(v->usual_run + (v->usual_run < UINT8_MAX));
    v->slow = v->caused = v->clear = 0;
    if (!v->on || (v->usual_run < AD_VERDICT_USUAL &&
                   s->place.figure == AD_FIGURE_DECODE)) {
        return;
    }
    v->value = s->value;
    v->usual = usual->median;
    if (s->place.figure == AD_FIGURE_WAIT) {
        ad_puts(&t, "First text after ");
        ad_say_number(&t, 1 / s->value);
        ad_puts(&t, " s again");
    } else {
        ad_say_number(&t, s->value);
        ad_puts(&t, " tok/s again");
    }
    sentence[t.len] = '\0';
    ad_verdict_end(v, sentence);
}

/* A figure came: judge it, learn it. */
static void ad_verdict_take(const struct ad_speed *s)
{
    struct ad_baseline_place alone = s->place;
    struct ad_baseline *b = ad_baseline_find(&s->place);
    struct ad_verdict *v = ad_verdict_of(s);
    struct ad_usual usual;
    unsigned causes[2] = {0, 0};
    uint16_t marks = ad_speed_marks(s);
    bool known = ad_baseline_usual(b, &usual), learns = !s->running;
    enum ad_judgement judgement = AD_IS_BETWEEN;

    v->last_ns = ad_hub.now_ns;
    if (known) {
        judgement = ad_baseline_judge(&usual, s->value);
        if (judgement == AD_IS_SLOW) {
            (void)(s->place.figure == AD_FIGURE_WAIT
                       ? ad_wait_causes(s, &usual, causes)
                       : ad_speed_causes(s, b, marks, causes));
        }
    } else if (s->place.streams > 0 && s->place.figure == AD_FIGURE_DECODE) {
        alone.streams = 0; /* so many at once are new: then that is why */
        b = ad_baseline_find(&alone);
        if (ad_baseline_usual(b, &usual) &&
            ad_baseline_judge(&usual, s->value) == AD_IS_SLOW) {
            judgement = AD_IS_SLOW;
            causes[0] = AD_CAUSE_STREAMS;
        }
    }
    if (judgement == AD_IS_SLOW && known) {
        v->learn++;
        learns = learns && v->learn % (causes[0] != 0 ? AD_VERDICT_LEARN_CAUSED
                                                      : AD_VERDICT_LEARN) == 0;
    } else if (!known && v->on && v->cause != AD_CAUSE_STREAMS) {
        learns = false; /* what begins while it is slow would not be usual */
    }
    if (judgement == AD_IS_SLOW && !s->judged) {
        ad_verdict_slow(v, s, b, &usual, causes);
    } else if (judgement == AD_IS_USUAL && !s->judged) {
        ad_verdict_usual(v, s, &usual);
    }
    if (learns) {
        ad_baseline_learn(&s->place, s->value, marks, s->draft, s->per_event);
    }
}

/* The verdict on a model's decoding, in a word; NULL: there is none. */
static const char *ad_verdict_word(uint64_t key)
{
    unsigned i;

    for (i = 0; i < AD_VERDICT_WATCHED; i++) {
        const struct ad_verdict *v = &ad_verdicts.list[i];

        if (v->on && v->key == key && v->figure == AD_FIGURE_DECODE) {
            return ad_cause_names[v->cause];
        }
    }
    return NULL;
}

/* ---- what the meter tells ---- */

/* What all figures of a request have. */
static void ad_speed_begin(struct ad_speed *s, const struct ad_proxy *p,
                           enum ad_figure figure)
{
    const struct ad_model *m = ad_facts_model(p);
    uint64_t prompt = p->scan.has_prompt ? p->scan.prompt_tokens
                                         : p->prompt.text / 4; /* about */
    bool estimated;
    uint64_t context = p->context != 0 ? p->context : ad_facts_context(p);

    memset(s, 0, sizeof(*s));
    s->place.key = ad_prefix_model(p->upstream, ad_facts_name(p)) | 1;
    s->place.figure = (uint8_t)figure;
    (void)snprintf(s->model, sizeof(s->model), "%s", ad_facts_name(p));
    s->cpu_share = m != NULL && m->cpu_share > 0 ? m->cpu_share : 0;
    s->draft = AD_DRAFT_NONE;
    s->tokens = prompt;
    if (figure == AD_FIGURE_DECODE) {
        uint64_t tokens = ad_scan_tokens(&p->scan, &estimated);

        s->place.context = ad_baseline_context(prompt + tokens / 2);
        s->fill = context != 0 ? (double)(prompt + tokens) / (double)context : 0;
        s->fill = p->prompt_cut ? 1 : s->fill;
    } else {
        s->place.context = ad_baseline_context(prompt);
    }
}

static void ad_speed_streams(struct ad_speed *s, double mean)
{
    s->place.streams = ad_baseline_streams(mean);
    s->streams = (unsigned)(mean + 0.5);
}

/* How fast it wrote its answer. */
static void ad_verdict_decoded(const struct ad_proxy *p,
                               const struct ad_proxy_figures *f)
{
    struct ad_speed s;

    if (f->decode_per_s <= 0 || f->tokens < AD_VERDICT_TOKENS || f->decode_ms <= 0 ||
        p->prompt.choices > 1) {
        return;
    }
    ad_speed_begin(&s, p, AD_FIGURE_DECODE);
    s.value = f->decode_per_s;
    s.to_ns = p->last_ns != 0 ? p->last_ns : ad_hub.now_ns;
    s.from_ns = s.to_ns - (uint64_t)(f->decode_ms * (double)AD_NS_PER_MS);
    ad_speed_streams(&s, ad_proxy_at_once(p));
    s.judged = p->judged;
    if (p->counted > 0) {
        s.per_event = (double)f->tokens / (double)p->counted;
    }
    if (p->scan.draft_tokens > 0) {
        s.draft = (uint8_t)(100 * p->scan.draft_accepted / p->scan.draft_tokens);
    }
    ad_verdict_take(&s);
}

/* How long its first text took: that of the answer, behind all thinking. */
static void ad_verdict_waited(const struct ad_proxy *p,
                              const struct ad_proxy_figures *f)
{
    double ms = f->ttft_ms, load_ms;
    struct ad_speed s;

    if (ms <= 0 || p->first_ns == 0 || (p->thought_ns != 0 && !p->answers)) {
        return;
    }
    ad_speed_begin(&s, p, AD_FIGURE_WAIT);
    s.parts_ms[AD_CAUSE_THINKING] = f->think_ms > 0 ? f->think_ms : 0;
    ms += s.parts_ms[AD_CAUSE_THINKING];
    s.value = 1000 / ms;
    s.from_ns = p->arrived_ns;
    s.to_ns = p->first_ns;
    s.parts_ms[AD_CAUSE_PAUSE] = ad_mark_share(AD_CAUSE_PAUSE, p->arrived_ns,
                                               p->first_ns) * f->ttft_ms;
    load_ms = ad_mark_share(AD_CAUSE_MODEL_LOAD, p->arrived_ns, p->first_ns) *
              f->ttft_ms;
    s.parts_ms[AD_CAUSE_MODEL_LOAD] = load_ms > f->load_ms ? load_ms : f->load_ms;
    if (f->queue_ms > 0) {
        double queue_ms = f->queue_ms - s.parts_ms[AD_CAUSE_PAUSE] - load_ms;

        s.parts_ms[AD_CAUSE_QUEUE] = queue_ms > 0 ? queue_ms : 0;
    }
    if (p->cache_broke && f->prefill_ms > 0) {
        s.parts_ms[AD_CAUSE_CACHE] = f->prefill_ms;
        s.tokens = p->scan.prompt_tokens - p->scan.cached_tokens;
    }
    ad_verdict_take(&s);
}

/* A request is over. */
static void ad_verdict_ended(struct ad_proxy *p)
{
    struct ad_proxy_figures f = ad_proxy_figures_of(p);

    if (p->request.bench || !p->request.metered || p->answer.status >= 400) {
        return;
    }
    ad_verdict_waited(p, &f);
    ad_verdict_decoded(p, &f);
    p->slow = ad_verdict_word(ad_prefix_model(p->upstream, ad_facts_name(p)) | 1);
}

/* A running answer: what it wrote in AD_VERDICT_WINDOW_S is a figure. Not if its
 * client takes it slowly, and not without any event: an engine may hold back what it
 * writes of a tool's call. */
static void ad_verdict_running(struct ad_proxy *p)
{
    const struct ad_baseline *b;
    uint64_t ns = ad_hub.now_ns - p->window_ns, counted = p->counted - p->window_counted;
    uint64_t run_ns = ad_proxying_run_ns();
    struct ad_speed s;

    if (p->window_ns != 0 && p->to_client_len == 0 &&
        ns < AD_VERDICT_WINDOW_S * AD_NS_PER_S) {
        return;
    }
    if (p->window_ns != 0 && p->to_client_len == 0 && counted > 0) {
        ad_speed_begin(&s, p, AD_FIGURE_DECODE);
        ad_speed_streams(&s, (double)(run_ns - p->window_run_ns) / (double)ns);
        b = ad_baseline_find(&s.place);
        if (b != NULL && b->per_event > 0) {
            s.value = (double)counted * (double)b->per_event * (double)AD_NS_PER_S /
                      (double)ns;
            s.from_ns = p->window_ns;
            s.to_ns = ad_hub.now_ns;
            s.running = p->judged = true;
            ad_verdict_take(&s);
        }
    }
    p->window_ns = ad_hub.now_ns;
    p->window_counted = p->counted;
    p->window_run_ns = run_ns;
}

/* Does an answer come at the moment? */
static bool ad_verdict_busy(void)
{
    unsigned i;

    for (i = 0; i < ad_proxying.n_slots; i++) {
        if (ad_proxies[i].state == AD_PROXY_RUN && ad_proxies[i].first_ns != 0) {
            return true;
        }
    }
    return false;
}

/* Is anything slow, or perhaps? */
static bool ad_verdict_any(void)
{
    unsigned i;

    for (i = 0; i < AD_VERDICT_WATCHED; i++) {
        if (ad_verdicts.list[i].on || ad_verdicts.list[i].slow > 0) {
            return true;
        }
    }
    return false;
}

/* Once a second. */
static void ad_verdict_housekeeping(void)
{
    bool loads = false;
    unsigned i;

    for (i = 0; i < AIDASH_MODELS; i++) {
        loads = loads || (ad_models.list[i].told != 0 &&
                          ad_models.list[i].loading != AD_LOADED);
    }
    ad_mark_set(AD_CAUSE_MODEL_LOAD, loads, 0, ad_hub.now_ns);
    ad_mark_set(AD_CAUSE_PAUSE, ad_engine.paused, 0, ad_hub.now_ns);
    for (i = 0; i < ad_proxying.n_slots; i++) {
        struct ad_proxy *p = &ad_proxies[i];

        if (p->state == AD_PROXY_RUN && p->first_ns != 0 && p->request.metered &&
            !p->request.bench && p->prompt.choices < 2) {
            ad_verdict_running(p);
        }
    }
    for (i = 0; i < AD_VERDICT_WATCHED; i++) {
        struct ad_verdict *v = &ad_verdicts.list[i];

        if (v->on && ad_hub.now_ns - v->last_ns >= AD_VERDICT_EXPIRES_S * AD_NS_PER_S) {
            ad_verdict_end(v, "No request for 2 min");
        } else if (v->on &&
                   ad_hub.now_ns - v->told_ns >= AD_VERDICT_AGAIN_S * AD_NS_PER_S) {
            ad_verdict_tell(v);
        }
    }
}

#if AIDASH_HISTORY

/* What the history file keeps of it: the baselines. */
static size_t ad_verdict_save(uint8_t *out)
{
    ad_baselines_save(out);
    return AD_BASELINES_SAVED;
}

static void ad_verdict_load(const uint8_t *bytes, size_t len)
{
    if (len == AD_BASELINES_SAVED) {
        ad_baselines_load(bytes);
    }
}

static const struct ad_history_section ad_verdict_section = {
    "baselines", 1, ad_verdict_save, ad_verdict_load};
_Static_assert((int)AD_BASELINES_SAVED <= (int)AD_HISTORY_SECTION_MAX, "it fits");

#endif

/* Before each run. */
static void ad_verdict_init(void)
{
    memset(&ad_verdicts, 0, sizeof(ad_verdicts));
#if AIDASH_HISTORY
    ad_history_file.section = &ad_verdict_section;
#endif
    ad_baselines_init();
    ad_marks_init();
    ad_records_add_hook(ad_verdict_ended);
}

AD_MEMORY(verdicts, AD_VERDICT_WATCHED, sizeof(ad_verdicts));

#endif /* AIDASH_METER && AIDASH_BASELINES */

#endif
