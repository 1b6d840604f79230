/* requests.c - proxied requests: what is known of each, their memory, the queue.
 * Owns ad_proxies, ad_proxy_buffers, ad_rewrites, ad_proxying, ad_proxy_lines. Hub
 * thread only.
 * Always: a slot is in the free list, or free behind n_slots, or in use; the
 * queue holds the requests in the state AD_PROXY_QUEUED, in order of arrival.
 */
#ifndef AD_METER_REQUESTS_C
#define AD_METER_REQUESTS_C

#include "../base/histogram.c"
#include "../codec/http_answer.c"
#include "../codec/http_write.c"
#include "../codec/llm_model.c"
#include "../codec/llm_scan.c"
#include "../codec/tick.c"
#include "../core/accept.c"
#include "totals.c"
#include "upstreams.c"

#if AIDASH_METER

enum {
    AD_PROXY_ANSWER_HEAD_MAX = 16384, /* bytes of all heads of an answer */
    AD_PROXY_ANSWER_HEAD_MORE = 4096, /* spaces that ours have more */
    AD_PROXY_PIECE_MAX = 16384,  /* bytes of a request's body on their way at once */
    /* Bytes of a body that may come with the head. */
    AD_PROXY_PREFIX_MAX = AIDASH_HEAD_MAX > AD_PROXY_PIECE_MAX ? AIDASH_HEAD_MAX
                                                               : AD_PROXY_PIECE_MAX,
    AD_PROXY_CHUNK_MAX = AD_HTTP_CHUNK_HEADER_MAX + 2 + 5, /* framing of a chunk */
    /* Bytes of method, target and header lines with their three NULs. Each header
     * line may get a space behind its colon. */
    AD_PROXY_TEXT_MAX = AIDASH_HEAD_MAX + AD_HTTP_FIELDS + 3,
    /* Request line's prefix, Host, Authorization, Connection, framing, and text. */
    AD_PROXY_HEAD_MAX = AD_PROXY_TEXT_MAX + 1024
};

/* How much a client must send or take: AD_PROXY_RATE bytes for each second in
 * which it could, not counting the first ones. */
enum {
    AD_PROXY_RATE = 16384,
    AD_PROXY_UPLOAD_GRACE_S = 10,
    AD_PROXY_ANSWER_GRACE_S = AD_STALL_MS / 1000
};

/* A request as its head describes it. The strings are the caller's until
 * ad_proxy_begin() returns; in struct ad_proxy they lie in its buffers. */
struct ad_proxy_request {
    uint64_t address;    /* of the client, as ad_address_key() has it */
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
    bool has_auth;   /* it brings its own Authorization */
    bool keep_alive; /* the client's connection may outlive this answer */
    char route[64];  /* its path as viewers see it: ASCII */
    char client[48]; /* its address, likewise */
    struct ad_totals_client who; /* for GET /usage and quotas */
    char model[AIDASH_MODEL_MAX + 1]; /* as asked for, "": not known */
};

enum ad_proxy_state {
    AD_PROXY_FREE,
    AD_PROXY_ARRIVE,      /* its body is read, as far as the slot's memory takes it */
    AD_PROXY_QUEUED,      /* the client's other bytes wait in the kernel */
    AD_PROXY_BUFFER_BODY, /* a longer body is read whole, to get another model */
    AD_PROXY_CONNECT,     /* to the engine */
    AD_PROXY_RUN,         /* bytes pass */
    AD_PROXY_ENDING       /* the engine is closed; the client takes the rest */
};
enum { AD_NO_REWRITE = 255 };

/* A proxied request. [h] */
struct ad_proxy {
    struct ad_proxy_request request;
    struct ad_proxy *next, *prev; /* in the queue; next: in the free list, too */
    uint8_t state; /* enum ad_proxy_state */
    uint8_t client_events, upstream_events; /* what the poller watches for */
    uint8_t upstream, address; /* which engine, its next address to try */
    uint8_t rewrite;  /* its place in ad_rewrites, or AD_NO_REWRITE */
    uint8_t client_framing; /* enum ad_http_framing, of the answer to the client */
    bool reads_client;
    bool client_shut;     /* the client shut its sending side, or closed */
    bool client_finished; /* and all that it sent was read */
    bool head_passed; /* the answer's head went to the client */
    int client_fd, upstream_fd; /* -1: closed */
    uint64_t id;
    uint64_t start_ns, start_us; /* it came in */
    uint64_t sent_ns;            /* the engine had all of it; 0: not yet */
    uint64_t first_ns, last_ns;  /* reads that completed tokens */
    uint64_t start_seq;          /* of the event that reported its start */
    uint64_t counted;            /* tokens in ticks */
    uint64_t progress;           /* of the prompt, as reported to the viewers */
    uint32_t progress_ms;        /* when */
    uint32_t heard_ms;  /* the engine sent something, or was connected to; QUEUED:
                         * it came into the queue */
    uint32_t ending_ms; /* the answer ended, or later: the client had all of it */
    uint32_t upload_s;  /* seconds in which the client could send of its body */
    uint32_t retry_s;   /* of its refusal: Retry-After, if it is not 503; 0: none */
    uint32_t blocked_s; /* seconds since it last took all that there was */
    uint64_t uploaded, taken; /* bytes that it sent, or took, meanwhile */
    uint32_t body_len;  /* bytes of the request's body that are held */
    struct ad_answer answer;  /* how far the engine's answer has come */
    uint32_t to_upstream_len, to_client_at, to_client_len;
    const uint8_t *to_upstream; /* what the engine is to take next */
    char name[AIDASH_MODEL_MAX + 1]; /* the model that its ticks count for */
    struct ad_scan scan;
    struct ad_histogram itl; /* inter-token latency */
};

/* A request on its way to the engine: the head ends where the body begins, so
 * that both are sent as one. */
struct ad_proxy_upload {
    uint8_t head[AD_PROXY_HEAD_MAX];
    uint8_t body[AD_PROXY_PREFIX_MAX + AD_MODEL_JSON_MAX + AD_PROXY_CHUNK_MAX];
};

struct ad_proxy_buffers {
    char text[AD_PROXY_TEXT_MAX]; /* method, target, headers of the request */
    struct ad_proxy_upload upload;
    char answer_head[AD_PROXY_ANSWER_HEAD_MAX];
    uint8_t to_client[AD_PROXY_ANSWER_HEAD_MAX + AD_PROXY_ANSWER_HEAD_MORE +
                      AD_SCRATCH + AD_PROXY_CHUNK_MAX];
};

/* The same for a body that is read whole, to get another model. */
struct ad_rewrite {
    bool used;
    uint8_t head[AD_PROXY_HEAD_MAX];
    uint8_t body[AD_REWRITE_MAX + AD_SCRATCH + AD_PROXY_CHUNK_MAX];
};

/* For the caller of ad_proxy_begin(): the header lines of its request. */
static char ad_proxy_lines[AD_PROXY_TEXT_MAX];

static struct ad_proxy ad_proxies[AIDASH_FLOWS];
static struct ad_proxy_buffers ad_proxy_buffers[AIDASH_FLOWS];
static struct ad_rewrite ad_rewrites[AIDASH_EDITS];

static struct {
    unsigned max_inflight, queue;                  /* [I] */
    double queue_timeout_ms, upstream_timeout_ms;  /* [I] 0: none */
    unsigned n, n_running, n_queued;
    unsigned n_slots;             /* of ad_proxies that were ever used */
    struct ad_proxy *free;        /* those of them that are free */
    struct ad_proxy *first, *last; /* in the queue */
    bool draining; /* the end of the running ones is to be reported */
    uint64_t last_id, refused;
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

/* ---- the queue ---- */

static void ad_queue_append(struct ad_proxy *p)
{
    p->prev = ad_proxying.last;
    p->next = NULL;
    if (p->prev != NULL) {
        p->prev->next = p;
    } else {
        ad_proxying.first = p;
    }
    ad_proxying.last = p;
    ad_proxying.n_queued++;
    p->state = AD_PROXY_QUEUED;
}

/* Take a request out of the queue, wherever it stands. The caller gives it
 * another state. */
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

/* ---- rewrite buffers ---- */

static uint8_t ad_rewrite_free(void)
{
    uint8_t i;

    for (i = 0; i < AIDASH_EDITS; i++) {
        if (!ad_rewrites[i].used) {
            return i;
        }
    }
    return AD_NO_REWRITE;
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

AD_MEMORY(proxies, AIDASH_FLOWS, sizeof(ad_proxies));
AD_MEMORY(proxy_lines, 1, sizeof(ad_proxy_lines));
AD_MEMORY(proxy_buffers, AIDASH_FLOWS, sizeof(ad_proxy_buffers));
AD_MEMORY(rewrites, AIDASH_EDITS, sizeof(ad_rewrites));

#endif /* AIDASH_METER */

#endif
