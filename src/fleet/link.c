/* link.c - what the links between boards and gateways have in common: when one is
 * tried again, what the log says of it, the bytes that it reads.
 * Owns ad_link_input and ad_links. Hub thread only.
 * Always: each link has a time for each of its steps, a size for each message and a
 * rate for commands; none waits for its peer.
 */
#ifndef AD_FLEET_LINK_C
#define AD_FLEET_LINK_C

#include "../base/random.c"
#include "../codec/handshake.c"
#include "../codec/json_members.c"
#include "../core/clients.c"
#include "../core/commands.c"
#include "../core/nodes.c"
#include "../core/notes.c"
#include "../guard/throttle.c"
#include "../meter/dial.c"
#include "../meter/resolver.c"

#if AD_FLEET

enum {
    AD_LINK_MESSAGE = 16384,  /* bytes of a message between a board and its gateway */
    AD_LINK_TRY_MS = 10000,   /* from connecting to the answer */
    AD_LINK_BEAT_MS = 5000 / AD_HASTE,  /* a board says so often how it is */
    AD_LINK_PING_MS = 10000 / AD_HASTE, /* who has heard nothing for so long pings */
    AD_LINK_SILENCE_MS = 30000 / AD_HASTE, /* and closes after so long */
    AD_LINK_STALL_MS = 30000 / AD_HASTE, /* nothing of what is sent was taken */
    AD_LINK_WAIT_MS = 1000,      /* until the second try; twice as long after each */
    AD_LINK_WAIT_MAX_MS = 30000,
    AD_LINK_HELD_MS = 5000 / AD_HASTE, /* a link that was up for so long has worked */
    AD_LINK_LOST_MS = 10000, /* between two sentences on lost events */
    AD_LINK_WHY_MAX = 192,
    AD_LINK_WHAT_MAX = 352, /* a URL's authority, a node's name */
    AD_LINK_READ = 16384 /* AD_DIAL_READ_MIN */
};

/* What of the fleet a descriptor is, by its index in the poller. */
enum {
    AD_FLEET_FORWARD,
    AD_FLEET_UPLINKS,
    AD_FLEET_FOLLOWS = AD_FLEET_UPLINKS + AIDASH_LINKS,
    AD_FLEET_ASKS = AD_FLEET_FOLLOWS + AIDASH_PEERS
};

/* What one read brought. */
static uint8_t ad_link_input[AD_LINK_READ];

static struct {
    uint64_t resume_ns; /* when a link that waits may be read again; UINT64_MAX: none does */
} ad_links;

/* How fast a link is read. All zeros: nothing was read yet. */
struct ad_link_pace {
    uint64_t full_ns; /* its bucket of events: throttle.c */
    uint64_t slowed;  /* how often it had to wait */
};

static const struct ad_rate_limit ad_link_rate = {AIDASH_LINK_RATE,
                                                  AD_NS_PER_S / AIDASH_LINK_RATE};

/* Nothing is left of a run before. */
static void ad_links_init(void)
{
    ad_links.resume_ns = UINT64_MAX;
}

/* Must it wait before it is read? Then ad_links.resume_ns says until when at most. */
static bool ad_link_waits(const struct ad_link_pace *pace)
{
    uint64_t wait_ns = ad_bucket_wait(pace->full_ns, ad_link_rate, ad_hub.now_ns);

    if (wait_ns > 0 && ad_hub.now_ns + wait_ns < ad_links.resume_ns) {
        ad_links.resume_ns = ad_hub.now_ns + wait_ns;
    }
    return wait_ns > 0;
}

/* So many bytes were read, with so many events in them, whatever they were. */
static void ad_link_charge(struct ad_link_pace *pace, size_t bytes, size_t events)
{
    size_t least = (bytes + 1023) / 1024;
    uint64_t from_ns = pace->full_ns > ad_hub.now_ns ? pace->full_ns : ad_hub.now_ns;

    pace->full_ns = from_ns + (events > least ? events : least) * ad_link_rate.period_ns;
    if (ad_link_waits(pace)) {
        pace->slowed++;
    }
}

/* A piece of a checked JSON text of a peer, as text for people: in `out`, cut to cap,
 * or `otherwise` if it is none. */
static const char *ad_link_text(struct ad_slice value, char *out, size_t max,
                                const char *otherwise)
{
    return value.at != NULL && ad_json_text(value, out, max) && out[0] != '\0'
               ? out
               : otherwise;
}

/* Hand an event of this board to the hub's table of boards, and to the viewers. `id`
 * is RUN-SEQ, "" if it is not known. False: it is none. */
static bool ad_link_relay(const char *node, const char *id, size_t id_len,
                          const char *json, size_t len)
{
    struct ad_relayed event;

    memset(&event, 0, sizeof(event));
    if (!ad_relayed_id_parse(id, id_len, &event.id)) {
        return false;
    }
    ad_relayed_parse(json, len, AD_RELAY_MAX, &event);
    if (event.kind == AD_RELAYED_WRONG) {
        return false;
    }
    (void)snprintf(event.node, sizeof(event.node), "%s", node);
    ad_node_apply(&event);
    if (ad_events_due()) {
        ad_fan_out();
    }
    return true;
}

/* The ack or error of a board to the command `number` of ours: finish it. False if it
 * is neither. */
static bool ad_link_finish(uint64_t number, struct ad_slice ack)
{
    char text[AIDASH_TEXT_MAX + 1], name[AIDASH_REASON_MAX + 1];
    struct ad_json_members m;
    bool done;

    if (!ad_json_members_of(&m, ack) ||
        !ad_json_text(ad_json_member(&m, "event"), name, sizeof(name) - 1)) {
        return false;
    }
    done = strcmp(name, "ack") == 0;
    if (!done && strcmp(name, "error") != 0) {
        return false;
    }
    ad_command_finish(number, done,
                      done ? ""
                           : ad_link_text(ad_json_member(&m, "message"), text,
                                          AIDASH_TEXT_MAX, "the board refused it"));
    return true;
}

/* ---- links that this side opens ---- */

#if AIDASH_METER

/* How a link of ours goes. */
struct ad_link {
    bool up;
    unsigned tries;    /* since it was up for AD_LINK_HELD_MS */
    unsigned unnamed;  /* seconds that its name had no address */
    uint64_t next_ns;  /* the next try; 0: it is up, or one runs */
    uint64_t up_ns;    /* when it came up, by ad_hub.now_ns */
    uint64_t since_us; /* Unix time of the latest change; 0: it was never up */
    uint64_t ups;      /* how often it came up */
    uint64_t told_lost; /* of the lost events, how many were told, */
    uint64_t told_ns;   /* and when; 0: never */
    char why[AD_LINK_WHY_MAX]; /* why it is down, the end of a sentence; "": it is up */
};

/* How long to wait for the next try: twice as long after each, by up to a half less,
 * so that many boards do not come at once. */
static uint64_t ad_link_wait_ms(unsigned tries)
{
    uint64_t ms = AD_LINK_WAIT_MS;
    uint32_t less = 0;
    unsigned i;

    for (i = 1; i < tries && ms < AD_LINK_WAIT_MAX_MS; i++) {
        ms *= 2;
    }
    ms = ms < AD_LINK_WAIT_MAX_MS ? ms : AD_LINK_WAIT_MAX_MS;
    if (ad_random_below((uint32_t)ms / 2 + 1, &less)) {
        ms -= less;
    }
    return ms;
}

enum { AD_LINK_RESOLVE_S = 10 }; /* so long a try waits for the address of a name */

/* Must a try wait, as the name has no address yet? */
static bool ad_link_resolves(struct ad_link *link, const struct ad_upstream *to)
{
    if (to->n_addresses == 0 && link->unnamed < AD_LINK_RESOLVE_S) {
        (void)ad_resolver_ask(to);
        link->unnamed++;
        return true;
    }
    link->unnamed = 0;
    return false;
}

/* Why there is no connection: the end of a sentence. */
static const char *ad_link_unreached(const struct ad_dial *dial,
                                     char out[AD_LINK_WHY_MAX])
{
    char why[AD_DIAL_WHY_MAX];

    (void)snprintf(out, AD_LINK_WHY_MAX, "can't be reached%s%.120s",
                   dial->upstream->n_addresses == 0 ? ": its name has no address" : "",
                   ad_dial_why(dial, why));
    return out;
}

/* It is up; `what` it is, for the log. */
static void ad_link_came_up(struct ad_link *link, const char *what)
{
    link->up = true;
    link->up_ns = ad_hub.now_ns;
    link->ups++;
    link->since_us = ad_hub.now_us;
    link->why[0] = '\0';
    ad_log(AIDASH_LOG_INFO, "%s: the link is up", what);
}

/* It is down, or a try has failed: the next one has its time, which is later each time,
 * also when the other side takes the link and drops it at once. The log has each reason
 * once. */
static void ad_link_went_down(struct ad_link *link, const char *what, const char *why)
{
    bool news = link->up || strcmp(link->why, why) != 0;

    if (link->up) {
        link->since_us = ad_hub.now_us;
        if (ad_hub.now_ns - link->up_ns >= AD_LINK_HELD_MS * AD_NS_PER_MS) {
            link->tries = 0;
        }
    }
    link->up = false;
    link->tries++;
    link->next_ns = ad_hub.now_ns + ad_link_wait_ms(link->tries) * AD_NS_PER_MS;
    (void)snprintf(link->why, sizeof(link->why), "%s", why);
    ad_log(news ? AIDASH_LOG_WARN : AIDASH_LOG_DEBUG, "%s: the link is down: it %s; "
           "trying again", what, link->why);
}

/* Once a second: say, in the log and on the charts, how many events were lost on it, if
 * there are more than before. `what` it is, for the log; `of`: events of whom. */
static void ad_link_tell_lost(struct ad_link *link, const char *what, const char *of,
                              uint64_t lost)
{
    char text[AIDASH_TEXT_MAX + 1];

    if (lost <= link->told_lost ||
        (link->told_ns != 0 &&
         ad_hub.now_ns - link->told_ns < AD_LINK_LOST_MS * (uint64_t)AD_NS_PER_MS)) {
        return;
    }
    (void)snprintf(text, sizeof(text),
                   "%llu events of %s were lost: the link was down, or too slow, for longer "
                   "than a board keeps them",
                   (unsigned long long)(lost - link->told_lost), of);
    link->told_lost = lost;
    link->told_ns = ad_hub.now_ns;
    ad_log(AIDASH_LOG_WARN, "%s: %s", what, text);
    ad_note_add(AIDASH_LOG_WARN, text);
}

/* Members of GET /status that each link has. */
static void ad_put_link(struct ad_text *t, const struct ad_link *link)
{
    ad_puts(t, link->up ? "\"state\":\"up\"" : "\"state\":\"down\"");
    if (link->since_us != 0) {
        ad_puts(t, ",\"since\":");
        ad_put_decimal(t, link->since_us, 6);
    }
    ad_putf(t, ",\"ups\":%llu", (unsigned long long)link->ups);
    if (link->why[0] != '\0') {
        ad_puts(t, ",\"why\":");
        ad_put_string(t, link->why);
    }
}

/* The sentence of an error of aidash's, {"error":{"message":…}}; "" if it is none. */
static const char *ad_link_error(const uint8_t *body, size_t len,
                                 char out[AIDASH_TEXT_MAX + 1])
{
    struct ad_json_members m;

    if (!ad_json_members_read(&m, (const char *)body, len)) {
        return "";
    }
    return ad_json_members_of(&m, ad_json_member(&m, "error"))
               ? ad_link_text(ad_json_member(&m, "message"), out, AIDASH_TEXT_MAX, "")
               : "";
}

/* Why a link is refused, the end of a sentence, of the answer's status and what came of
 * its body. `keyed`: it was asked for with a key. `unknown`: what to look at when the
 * other side knows no such path. */
static void ad_link_refused(char why[AD_LINK_WHY_MAX], unsigned status, const uint8_t *body,
                            size_t len, bool keyed, const char *unknown)
{
    char said[AIDASH_TEXT_MAX + 1];
    const char *sentence = status == 404            ? unknown
                           : status == 401 && keyed ? "the key is wrong, expired or revoked"
                                                    : ad_link_error(body, len, said);

    (void)snprintf(why, AD_LINK_WHY_MAX, "answers with status %u%s%s", status,
                   sentence[0] != '\0' ? ": " : "", sentence);
}

#endif /* AIDASH_METER */

AD_MEMORY(link_input, 1, sizeof(ad_link_input) + sizeof(ad_links));

#endif /* AD_FLEET */

#endif
