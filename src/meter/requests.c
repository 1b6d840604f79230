/* requests.c - proxied requests: what is known of each, their memory, the queue.
 * Owns ad_proxies, ad_proxy_buffers, ad_rewrites, ad_proxying, ad_proxy_lines. Hub
 * thread only.
 * Always: a slot is in the free list, or free behind n_slots, or in use; the
 * queue holds the requests whose turn is AD_TURN_QUEUED, in the order in which they
 * asked first; n_running and n_uploads count those of the other turns.
 */
#ifndef AD_METER_REQUESTS_C
#define AD_METER_REQUESTS_C

#include "../base/histogram.c"
#include "../codec/http_answer.c"
#include "../codec/http_write.c"
#include "../codec/llm_model.c"
#include "../codec/llm_prompt.c"
#include "../codec/llm_scan.c"
#include "../codec/tick.c"
#include "../codec/traceparent.c"
#include "../core/accept.c"
#include "../guard/grant.c"
#include "fetch.c"
#include "totals.c"

#if AIDASH_METER

enum {
    AD_PROXY_ANSWER_HEAD_MAX = 16384, /* bytes of all heads of an answer */
    AD_PROXY_ANSWER_HEAD_MORE = 4096, /* spaces that ours have more */
    AD_PROXY_PIECE_MAX = 16384,  /* bytes of a request's body on their way at once */
    /* Bytes of a body that may come with the head. */
    AD_PROXY_PREFIX_MAX = AIDASH_HEAD_MAX > AD_PROXY_PIECE_MAX ? AIDASH_HEAD_MAX
                                                               : AD_PROXY_PIECE_MAX,
    AD_PROXY_CHUNK_MAX = AD_HTTP_CHUNK_HEADER_MAX + 2 + 5, /* framing of a chunk */
    /* Bytes of the three X-Forwarded fields, what a proxy wrote there not counted:
     * their names, an address, http or https, a host. */
    AD_PROXY_FORWARDED_MAX = 512,
    /* Bytes of method, target and header lines with their three NULs. Each header
     * line may get a space behind its colon, and one 8 bytes more, "identity", for
     * which the version of the request line is room enough. */
    AD_PROXY_TEXT_MAX = AIDASH_HEAD_MAX + AD_HTTP_FIELDS + AD_PROXY_FORWARDED_MAX + 3,
    /* Request line's prefix, Host, Authorization, Connection, framing, and text. */
    AD_PROXY_HEAD_MAX = AD_PROXY_TEXT_MAX + 1024
};

/* How much a client must send or take: AD_PROXY_RATE bytes for each second in
 * which it could, not counting the first ones. */
enum {
    AD_PROXY_RATE = 16384,
    AD_PROXY_UPLOAD_GRACE_S = 10,
    AD_PROXY_PLACE_S = 1, /* an upload that takes longer lends its place at the
                           * engine to who waits for one */
    AD_PROXY_EDIT_RATE = 8 * AD_PROXY_RATE, /* and its buffer, if it is slower */
    AD_PROXY_ANSWER_GRACE_S = AD_STALL_MS / 1000,
    AD_PROXY_FIRST_TIMES = 12, /* an engine may be silent so many times longer
                                * before its answer than within it: for the prompt,
                                * and for all of an answer that is not streamed */
    AD_FLOW_GRACE_MS = 100 /* a request so young gives way to none */
};

/* A list of models that is put together of several engines' (lists.c). */
enum { AD_LIST_NONE, AD_LIST_OPENAI, AD_LIST_TAGS, AD_LIST_PS };
enum { AD_LIST_NAMES = 256 }; /* models that are told apart */

/* A request as its head describes it. The strings are the caller's until
 * ad_proxy_begin() returns; in struct ad_proxy they lie in its buffers. */
struct ad_proxy_request {
    uint64_t address;    /* of the client, as ad_address_key() has it */
    uint32_t tls;        /* as struct ad_pending has it */
    struct sockaddr_storage peer; /* the same address whole */
    const char *method;  /* 1..AD_HTTP_METHOD_MAX bytes */
    const char *target;  /* origin-form (RFC 9112 3.2.1) */
    const char *headers; /* "Name: value" CRLF for each line, without those about
                          * the connection (RFC 9110 7.6.1), Host, Content-Length
                          * and Expect */
    const uint8_t *prefix; /* the bytes of the body that came with the head */
    size_t prefix_len;     /* 0..AD_PROXY_PREFIX_MAX */
    struct ad_body body;   /* how the body is framed: what of it is still to come */
    bool has_length; /* a Content-Length was given, 0 also */
    bool metered;    /* it has a body: queue, limit and pause are for it */
    bool http10;     /* of HTTP/1.0: neither chunks nor interim answers for it */
    bool head;       /* the method is HEAD */
    bool expects;    /* Expect: 100-continue */
    uint8_t list;    /* AD_LIST_* */
    bool upgrade;    /* it is a WebSocket handshake (RFC 6455 4.2.1) */
    bool has_auth;   /* it brings its own Authorization */
    bool keep_alive; /* the client's connection may outlive this answer */
    bool bench;      /* of a benchmark (bench.c): in no baseline, under no quota */
    char route[64];  /* its path as viewers see it: ASCII */
    char client[AD_ADDRESS_TEXT_MAX]; /* its address, likewise */
    struct ad_totals_client who; /* for GET /usage and quotas */
    struct ad_trace trace; /* that the client is in */
    struct ad_grant grant; /* of the key that it was let in by; rights 0: none */
    char model[AIDASH_MODEL_MAX + 1]; /* as asked for, "": not known */
};

enum ad_proxy_state {
    AD_PROXY_FREE,
    AD_PROXY_ARRIVE,      /* its body is read, as far as the slot's memory takes it */
    AD_PROXY_QUEUED,      /* the client's other bytes wait in the kernel */
    AD_PROXY_BUFFER_BODY, /* more of a longer body is read, to find its model */
    AD_PROXY_LIST,        /* one engine after the other is asked for its list */
    AD_PROXY_CONNECT,     /* to the engine */
    AD_PROXY_RUN,         /* bytes pass */
    AD_PROXY_TUNNEL,      /* of a WebSocket, both ways, until one side ends */
    AD_PROXY_ENDING       /* the engine is closed; the client takes the rest */
};
enum { AD_NO_REWRITE = 255 };
enum ad_proxy_by { AD_ENDED_BY_ENGINE, AD_ENDED_BY_CLIENT, AD_ENDED_BY_VIEWER, AD_ENDED_BY_AIDASH };

/* What a metered request has of the engine's time. Only one whose body is whole, or
 * has come for less than AD_PROXY_PLACE_S, holds a place of --max-inflight. */
enum ad_proxy_turn {
    AD_TURN_NONE,   /* it has not asked yet, or is over, or is not metered */
    AD_TURN_QUEUED, /* it waits for a place; the engine may have all of its body but
                     * for the last piece, `held_len` */
    AD_TURN_UPLOAD, /* it lent its place; it asks again when its body is whole */
    AD_TURN_RUN     /* it has a place */
};

/* A proxied request. [h] */
struct ad_proxy {
    struct ad_proxy_request request;
    struct ad_proxy *next, *prev; /* in the queue; next: in the free list, too */
    uint8_t state; /* enum ad_proxy_state */
    uint8_t turn;  /* enum ad_proxy_turn */
    uint8_t client_events; /* what the poller watches client_fd for */
    uint8_t upstream; /* which engine */
    uint8_t rewrite;  /* its place in ad_rewrites, or AD_NO_REWRITE */
    uint8_t client_framing; /* enum ad_http_framing, of the answer to the client */
    bool resolved; /* the engine's name was asked for anew while it connected */
    bool reads_client;
    bool client_shut;     /* the client shut its sending side, or closed */
    bool client_finished; /* and all that it sent was read */
    bool head_passed; /* the answer's head went to the client */
    bool waited;      /* in aidash's queue */
    bool answers;     /* text that is no thinking has come */
    uint8_t ended_by; /* enum ad_proxy_by: who ended it, if it did not finish */
    bool model_settled; /* its "model" is at model_from, or is not looked for */
    bool model_found;
    int client_fd; /* -1: closed */
    struct ad_dial engine;
    uint64_t id;
    uint64_t order; /* in which it asked for a place; 0: not yet */
    uint64_t start_ns, start_us; /* it came in */
    uint64_t arrived_ns;         /* enough of it was there to ask for a place at
                                  * the engine; 0: not yet */
    uint64_t begun_ns;           /* it got that place; 0: not yet */
    uint64_t sent_ns;            /* the engine had all of it; 0: not yet */
    uint64_t first_ns, last_ns;  /* reads that completed tokens */
    uint64_t thought_ns;         /* and the last one so far of its thinking, or
                                  * the first one behind that; 0: none */
    uint64_t told_seq;           /* of the latest event about it */
    uint32_t told_ms;            /* when a "request" event told of it */
    uint64_t counted;            /* tokens in ticks */
    uint64_t first_counted;      /* of them, those of the first read */
    uint64_t progress;           /* ad_facts_step() as the viewers know it */
    uint32_t heard_ms;  /* the engine sent or took something, or was connected to */
    uint32_t queued_ms; /* it came into the queue */
    uint32_t ending_ms; /* the answer ended, or later: the client had all of it */
    uint32_t upload_s;  /* seconds in which the client could send of its body */
    uint32_t retry_s;   /* of its refusal: Retry-After, if it is not 503; 0: none */
    uint32_t blocked_s; /* seconds since it last took all that there was */
    uint64_t uploaded, taken; /* bytes that it sent, or took, meanwhile */
    uint64_t passed;          /* bytes of a WebSocket that the engine sent */
    uint32_t body_len;  /* bytes of the request's body that are here */
    uint32_t model_from, model_len; /* of these: the string, with its quotes */
    uint32_t held_len;  /* bytes at to_upstream that wait for the request's turn */
    struct ad_answer answer;  /* how far the engine's answer has come */
    uint32_t to_upstream_len, to_client_at, to_client_len;
    const uint8_t *to_upstream; /* what the engine is to take next */
    char name[AIDASH_MODEL_MAX + 1]; /* the model that its ticks count for */
    struct ad_scan scan;
    struct ad_histogram itl; /* inter-token latency */
    struct ad_prompt prompt; /* the text of its body */
    uint64_t loading_us; /* since when its model loads, Unix time; 0: it does not */
    uint64_t context;    /* at its end: tokens that it may have; 0: not known */
    bool prompt_cut, cache_broke; /* likewise: see facts.c */
    bool asked;          /* discovery, about its model */
    uint64_t run_from_ns, run_base_ns; /* it got its place; ad_proxying.run_ns then */
    /* Of board/verdict.c: the piece of its answer that is measured at the moment; was
     * one judged; why it is slow, or NULL. */
    uint64_t window_ns, window_counted, window_run_ns;
    bool judged;
    const char *slow;
    /* Of board/energy.c: what it has taken so far, the time for which that is known,
     * and its tokens that were counted for that. */
    double joules, joules_s;
    uint64_t joules_counted;
    bool joules_unknown;
};

/* A request on its way to the engine: the head ends where the body begins, so
 * that both are sent as one. */
struct ad_proxy_upload {
    uint8_t head[AD_PROXY_HEAD_MAX];
    uint8_t body[AD_PROXY_PREFIX_MAX + AD_MODEL_JSON_MAX + AD_PROXY_CHUNK_MAX];
};

/* How far a list of several engines is. Its elements are in to_client. */
struct ad_list {
    struct ad_fetch fetch;    /* of the current engine's list */
    struct ad_json_stream js; /* its text */
    uint32_t len, kept;       /* bytes of elements; of the engines before */
    uint32_t element;         /* where the current one begins */
    uint16_t status;          /* of the first engine that refused, 503 if we had no
                               * descriptor for one, or 0 */
    uint8_t depth, key_len;   /* of arrays and objects; bytes in `key` */
    char key[8];              /* the last string of the outermost object, and its " */
    bool some;                /* an engine gave its list */
    bool full;                /* an element did not fit */
    bool string, escaped;     /* inside a string; behind its \\ */
    bool inside;              /* the array of the elements */
    bool named, dropped;      /* the current element: its name came; it goes */
    unsigned n_names, n_names_before; /* in `names`; of the engines before */
    uint64_t names[AD_LIST_NAMES];    /* hashes */
};

struct ad_proxy_buffers {
    struct ad_list list;
    char text[AD_PROXY_TEXT_MAX]; /* method, target, headers of the request */
    struct ad_proxy_upload upload;
    char answer_head[AD_PROXY_ANSWER_HEAD_MAX];
    uint8_t to_client[AD_PROXY_ANSWER_HEAD_MAX + AD_PROXY_ANSWER_HEAD_MORE +
                      AD_SCRATCH + AD_PROXY_CHUNK_MAX];
};

/* The same for a body whose model is not in its first piece. */
struct ad_rewrite {
    bool used;
    uint64_t address; /* of the client */
    struct ad_model_search search;
    uint8_t head[AD_PROXY_HEAD_MAX];
    uint8_t body[AD_REWRITE_MAX + AD_PROXY_PIECE_MAX + AD_MODEL_JSON_MAX +
                 AD_PROXY_CHUNK_MAX];
};

/* For the caller of ad_proxy_begin(): the header lines of its request. */
static char ad_proxy_lines[AD_PROXY_TEXT_MAX];

static struct ad_proxy ad_proxies[AIDASH_FLOWS];
static struct ad_proxy_buffers ad_proxy_buffers[AIDASH_FLOWS];
static struct ad_rewrite ad_rewrites[AIDASH_EDITS];

static struct {
    unsigned max_inflight, queue;                  /* [I] */
    double queue_timeout_ms, upstream_timeout_ms;  /* [I] 0: none */
    unsigned n, n_running, n_queued, n_uploads;
    unsigned n_tunnels;           /* of the n: WebSockets and their handshakes */
    unsigned n_slots;             /* of ad_proxies that were ever used */
    struct ad_proxy *free;        /* those of them that are free */
    struct ad_proxy *first, *last; /* in the queue */
    bool draining; /* the end of the running ones is to be reported */
    uint64_t last_id, last_order, refused;
    uint64_t run_ns, run_at_ns; /* n_running summed up over time, until then */
} ad_proxying;

/* Milliseconds from one time to another; -1 if `from_ns` is 0 (not yet) or
 * later than `to_ns`. */
static double ad_ms(uint64_t from_ns, uint64_t to_ns)
{
    return from_ns == 0 || to_ns < from_ns
               ? -1
               : (double)(to_ns - from_ns) / (double)AD_NS_PER_MS;
}

static struct ad_proxy_buffers *ad_proxy_buffers_of(const struct ad_proxy *p)
{
    return &ad_proxy_buffers[p - ad_proxies];
}

/* ---- slots ---- */

enum { AD_PROXY_INDEX_MAX = 1024 };
_Static_assert(AIDASH_FLOWS <= AD_PROXY_INDEX_MAX, "a slot's number fits");

/* What the poller reports of a request's sockets: the slot's number, and the last
 * bits of the request's own, so that events of the one before it, found in the
 * same turn, are told apart. */
static unsigned ad_proxy_index(const struct ad_proxy *p)
{
    return (unsigned)(p - ad_proxies) +
           AD_PROXY_INDEX_MAX * (unsigned)(p->id & 0xFFFF);
}

/* A slot for a request; NULL if all are taken. Its content is left over. */
static struct ad_proxy *ad_proxy_slot(void)
{
    struct ad_proxy *p = ad_proxying.free;

    if (p != NULL) {
        ad_proxying.free = p->next;
    } else if (ad_proxying.n_slots < AIDASH_FLOWS) {
        p = &ad_proxies[ad_proxying.n_slots++];
    }
    return p;
}

static void ad_proxy_slot_free(struct ad_proxy *p)
{
    p->state = AD_PROXY_FREE;
    p->next = ad_proxying.free;
    ad_proxying.free = p;
}

/* ---- turns ---- */

/* Put a request into the queue, behind those that asked before it. */
static void ad_queue_insert(struct ad_proxy *p)
{
    struct ad_proxy *before = ad_proxying.last;

    while (before != NULL && before->order > p->order) {
        before = before->prev;
    }
    p->prev = before;
    p->next = before != NULL ? before->next : ad_proxying.first;
    if (p->prev != NULL) {
        p->prev->next = p;
    } else {
        ad_proxying.first = p;
    }
    if (p->next != NULL) {
        p->next->prev = p;
    } else {
        ad_proxying.last = p;
    }
    ad_proxying.n_queued++;
}

/* Take a request out of the queue, wherever it stands. */
static void ad_queue_remove(struct ad_proxy *p)
{
    if (p->prev != NULL) {
        p->prev->next = p->next;
    } else {
        ad_proxying.first = p->next;
    }
    if (p->next != NULL) {
        p->next->prev = p->prev;
    } else {
        ad_proxying.last = p->prev;
    }
    ad_proxying.n_queued--;
}

/* Where it stands in the queue, from 1 on. */
static unsigned ad_queue_place(const struct ad_proxy *p)
{
    unsigned n = 1;

    for (p = p->prev; p != NULL; p = p->prev) {
        n++;
    }
    return n;
}

/* The integral over time of how many requests run, until now. */
static uint64_t ad_proxying_run_ns(void)
{
    if (ad_hub.now_ns > ad_proxying.run_at_ns) {
        ad_proxying.run_ns += ad_proxying.n_running *
                              (ad_hub.now_ns - ad_proxying.run_at_ns);
        ad_proxying.run_at_ns = ad_hub.now_ns;
    }
    return ad_proxying.run_ns;
}

/* How many requests have run since this one does, with it: the mean. */
static double ad_proxy_at_once(const struct ad_proxy *p)
{
    uint64_t run_ns = ad_proxying_run_ns();

    return p->run_from_ns == 0 || ad_hub.now_ns <= p->run_from_ns
               ? 1
               : (double)(run_ns - p->run_base_ns) /
                     (double)(ad_hub.now_ns - p->run_from_ns);
}

static void ad_proxy_set_turn(struct ad_proxy *p, enum ad_proxy_turn turn)
{
    uint64_t run_ns = ad_proxying_run_ns();

    if (turn == AD_TURN_RUN) {
        p->run_from_ns = ad_hub.now_ns;
        p->run_base_ns = run_ns;
    }
    if (p->turn == AD_TURN_QUEUED) {
        ad_queue_remove(p);
    } else if (p->turn == AD_TURN_UPLOAD) {
        ad_proxying.n_uploads--;
    } else if (p->turn == AD_TURN_RUN) {
        ad_proxying.n_running--;
    }
    p->turn = (uint8_t)turn;
    if (turn == AD_TURN_QUEUED) {
        ad_queue_insert(p);
    } else if (turn == AD_TURN_UPLOAD) {
        ad_proxying.n_uploads++;
    } else if (turn == AD_TURN_RUN) {
        ad_proxying.n_running++;
    }
}

/* Does some of its body have yet to come, although it was its turn? */
static bool ad_proxy_uploads(const struct ad_proxy *p)
{
    return p->turn >= AD_TURN_UPLOAD && !p->head_passed &&
           p->request.body.state < AD_BODY_DONE;
}

/* ---- rewrite buffers ---- */

/* The number of a free buffer for a client of this address, or AD_NO_REWRITE. No
 * address gets the last quarter of them on top of the rest. */
static uint8_t ad_rewrite_free(uint64_t address)
{
    unsigned n = 0;
    uint8_t i, found = AD_NO_REWRITE;

    for (i = 0; i < AIDASH_EDITS; i++) {
        if (!ad_rewrites[i].used) {
            found = i;
        } else if (ad_rewrites[i].address == address) {
            n++;
        }
    }
    return AIDASH_EDITS > 1 && n >= (AIDASH_EDITS * 3 + 3) / 4 ? AD_NO_REWRITE : found;
}

static void ad_rewrite_release(struct ad_proxy *p)
{
    if (p->rewrite != AD_NO_REWRITE) {
        ad_rewrites[p->rewrite].used = false;
        p->rewrite = AD_NO_REWRITE;
    }
}

/* Before each run. */
static void ad_requests_init(void)
{
    memset(&ad_proxying, 0, sizeof(ad_proxying));
}

AD_MEMORY(proxies, AIDASH_FLOWS, sizeof(ad_proxies) + sizeof(ad_proxying));
AD_MEMORY(proxy_lines, 1, sizeof(ad_proxy_lines));
AD_MEMORY(proxy_buffers, AIDASH_FLOWS, sizeof(ad_proxy_buffers));
AD_MEMORY(rewrites, AIDASH_EDITS, sizeof(ad_rewrites));

#endif /* AIDASH_METER */

#endif
