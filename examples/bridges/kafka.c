/* kafka.c - aidash-kafka: boards and gateways over Kafka (librdkafka). MIT licence.
 *
 *     PREFIX.events    a board's events, key NODE; header `id`
 *     PREFIX.commands  commands, key NODE
 *     PREFIX.acks      their answers, key GATEWAY
 *
 * The key puts all events of a board into one partition, which keeps their order. The
 * producer is idempotent; a consumer's position is stored behind what the hub has taken:
 * so each event comes at least once, and a gateway knows doubles by their id.
 */
#define _GNU_SOURCE
#include "bridge.h"

#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    POLL_MS = 200,       /* the longest wait for the broker at once */
    LOOK_MS = 10000,     /* between two looks for partitions that are new */
    PARTITIONS = 1024,   /* that are read of a topic */
    METADATA_MS = 2000,  /* for its answer to whether it is there */
    SETTINGS = 64,       /* lines of --kafka-config */
    TEXT_CAP = 512,
    TOPIC_CAP = 80
};

static struct {
    struct {
        char name[64], value[TEXT_CAP];
    } lines[SETTINGS]; /* of --kafka-config */
    size_t n;
    char brokers[TEXT_CAP], group[TEXT_CAP], prefix[64];
} set = {.prefix = "aidash"};

static char topics[3][TOPIC_CAP]; /* by enum bridge_kind */

static rd_kafka_conf_t *producer_conf; /* to make another one from */
static rd_kafka_t *producer;           /* thread `out` */
static rd_kafka_t *consumer;           /* thread `in` */

static struct {
    pthread_mutex_t lock;
    bool up, ended;
    char why[256];
} broker = {.lock = PTHREAD_MUTEX_INITIALIZER, .why = "it has not answered yet"};

static void set_broker(bool up, const char *why)
{
    (void)pthread_mutex_lock(&broker.lock);
    broker.up = up;
    (void)snprintf(broker.why, sizeof(broker.why), "%s", why);
    (void)pthread_mutex_unlock(&broker.lock);
}

static bool ended(void)
{
    bool e;

    (void)pthread_mutex_lock(&broker.lock);
    e = broker.ended;
    (void)pthread_mutex_unlock(&broker.lock);
    return e;
}

static void hang_up(void)
{
    (void)pthread_mutex_lock(&broker.lock);
    broker.ended = true;
    (void)pthread_mutex_unlock(&broker.lock);
}

static uint64_t now_ms(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- sending: thread `out` ------------------------------------------------------------ */

/* A delivery report: the broker has a message, or will never have it. */
static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    (void)rk;
    (void)opaque;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        set_broker(true, "");
        return;
    }
    bridge_lost(1);
    set_broker(false, rd_kafka_err2str(message->err));
}

static void on_error(rd_kafka_t *rk, int err, const char *reason, void *opaque)
{
    (void)rk;
    (void)opaque;
    if (err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || err == RD_KAFKA_RESP_ERR__AUTHENTICATION ||
        err == RD_KAFKA_RESP_ERR__RESOLVE || err == RD_KAFKA_RESP_ERR__SSL) {
        set_broker(false, reason);
    }
}

/* librdkafka tells more than once a second that a broker is away: on_error() has it. */
static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    (void)rk;
    if (level <= 2) { /* syslog's: emergency, alert, critical */
        bridge_say(AIDASH_LOG_ERROR, "%s: %s", facility, text);
    }
}

/* Is the broker there? Asks it if that is not known. */
static bool reach(void)
{
    const struct rd_kafka_metadata *metadata = NULL;
    char why[sizeof(broker.why)];
    bool up;

    (void)rd_kafka_poll(producer, 0);
    (void)pthread_mutex_lock(&broker.lock);
    up = broker.up;
    (void)pthread_mutex_unlock(&broker.lock);
    if (!up) {
        rd_kafka_resp_err_t err = rd_kafka_metadata(producer, 0, NULL, &metadata, METADATA_MS);

        if (err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            rd_kafka_metadata_destroy(metadata);
            set_broker(true, "");
            up = true;
        }
    }
    (void)pthread_mutex_lock(&broker.lock);
    memcpy(why, broker.why, sizeof(why));
    (void)pthread_mutex_unlock(&broker.lock);
    bridge_link(up, up ? set.brokers : why);
    return up;
}

/* After an error that no further message survives, go on with another producer. */
static void renew(void)
{
    char why[256];
    rd_kafka_t *other;

    if (rd_kafka_fatal_error(producer, why, sizeof(why)) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        return;
    }
    bridge_say(AIDASH_LOG_ERROR, "the producer begins anew: %s", why);
    other = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_dup(producer_conf), why, sizeof(why));
    if (other != NULL) {
        (void)rd_kafka_purge(producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        (void)rd_kafka_flush(producer, POLL_MS);
        rd_kafka_destroy(producer);
        producer = other;
    }
}

/* Hand a message to librdkafka, whose queue is short: what follows waits in the bridge's
 * buffer, which tells how much it loses. */
static void send_message(const struct bridge_message *message)
{
    rd_kafka_resp_err_t err;

    for (;;) {
        err = rd_kafka_producev(
            producer, RD_KAFKA_V_TOPIC(topics[message->kind]),
            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
            RD_KAFKA_V_KEY(message->to, strlen(message->to)),
            RD_KAFKA_V_HEADER("id", message->id, -1),
            RD_KAFKA_V_VALUE((void *)(uintptr_t)message->text, message->len), RD_KAFKA_V_END);
        if (err != RD_KAFKA_RESP_ERR__QUEUE_FULL || ended()) {
            break;
        }
        (void)rd_kafka_poll(producer, POLL_MS);
        (void)reach();
        renew();
    }
    if (err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        bridge_lost(1);
        if (err != RD_KAFKA_RESP_ERR__QUEUE_FULL) {
            bridge_say(AIDASH_LOG_WARN, "a message is not sent: %s", rd_kafka_err2str(err));
        }
    }
}

static void out(void)
{
    static struct bridge_batch batch;
    unsigned tries = 0;
    size_t i, n;

    while (!ended()) {
        renew();
        if (!reach()) {
            if (!bridge_pause(bridge_backoff(tries++))) {
                break;
            }
            continue;
        }
        tries = 0;
        n = bridge_take(&batch, POLL_MS);
        if (n == 0 && !bridge_running()) {
            break;
        }
        for (i = 0; i < n; i++) {
            send_message(&batch.messages[i]);
        }
    }
    while (rd_kafka_flush(producer, POLL_MS) != RD_KAFKA_RESP_ERR_NO_ERROR && !ended()) {
    }
    if (rd_kafka_outq_len(producer) > 0) {
        (void)rd_kafka_purge(producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        (void)rd_kafka_flush(producer, POLL_MS);
    }
    rd_kafka_destroy(producer);
}

/* ---- reading: thread `in` -------------------------------------------------------------- */

/* A gateway of --node NAME... shows these alone. */
static bool wanted(const char *node)
{
    char name[BRIDGE_NAME_CAP];
    size_t i;

    for (i = 0; bridge_node(i, name); i++) {
        if (strcmp(name, node) == 0) {
            return true;
        }
    }
    return i == 0;
}

static void take(const rd_kafka_message_t *message)
{
    const char *topic = rd_kafka_topic_name(message->rkt);
    char key[BRIDGE_NAME_CAP], id[BRIDGE_ID_CAP] = "";
    rd_kafka_headers_t *headers;
    const void *value;
    size_t len;

    if (message->payload == NULL || message->key_len >= sizeof(key) ||
        message->len > BRIDGE_TEXT_MAX) {
        return;
    }
    (void)snprintf(key, sizeof(key), "%.*s", (int)message->key_len,
                   message->key_len > 0 ? (const char *)message->key : "");
    if (rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR &&
        rd_kafka_header_get_last(headers, "id", &value, &len) == RD_KAFKA_RESP_ERR_NO_ERROR &&
        len < sizeof(id)) {
        (void)snprintf(id, sizeof(id), "%.*s", (int)len, (const char *)value);
    }
    if (bridge_settings.publish) {
        if (strcmp(key, bridge_settings.node) == 0) {
            bridge_command(message->payload, message->len);
        }
    } else if (strcmp(topic, topics[BRIDGE_ACK]) == 0) {
        if (strcmp(key, bridge_gateway()) == 0) {
            bridge_ack(NULL, message->payload, message->len);
        }
    } else if (wanted(key)) {
        bridge_event(key, id, message->payload, message->len);
    }
}

/* The hub has what the message says: a restart goes on behind it. */
static void done_with(const rd_kafka_message_t *message)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

    rd_kafka_topic_partition_list_add(list, rd_kafka_topic_name(message->rkt),
                                      message->partition)->offset = message->offset + 1;
    (void)rd_kafka_offsets_store(consumer, list);
    rd_kafka_topic_partition_list_destroy(list);
}

/* Where to begin in a partition: a gateway goes on in events where it was; commands and
 * answers are those from now on, but in a partition that was not there before, all. */
static int64_t begin_at(enum bridge_kind kind, int32_t partition, bool first)
{
    int64_t low = 0, high = 0;

    if (kind == BRIDGE_EVENT) {
        return RD_KAFKA_OFFSET_STORED;
    }
    if (!first) {
        return RD_KAFKA_OFFSET_BEGINNING;
    }
    return rd_kafka_query_watermark_offsets(consumer, topics[kind], partition, &low, &high,
                                            METADATA_MS) == RD_KAFKA_RESP_ERR_NO_ERROR
               ? high : RD_KAFKA_OFFSET_END;
}

/* How many partitions the topic has; the broker makes one that is not there, if it is
 * let. -1: it does not answer. */
static int partitions_of(enum bridge_kind kind)
{
    rd_kafka_topic_t *topic = rd_kafka_topic_new(consumer, topics[kind], NULL);
    const struct rd_kafka_metadata *metadata = NULL;
    int n = -1;

    if (topic != NULL &&
        rd_kafka_metadata(consumer, 0, topic, &metadata, METADATA_MS) ==
            RD_KAFKA_RESP_ERR_NO_ERROR) {
        n = metadata->topic_cnt == 1 ? metadata->topics[0].partition_cnt : 0;
        rd_kafka_metadata_destroy(metadata);
    }
    if (topic != NULL) {
        rd_kafka_topic_destroy(topic);
    }
    return n < PARTITIONS ? n : PARTITIONS;
}

/* Read all partitions of the topics. There are no members in the group, which is but the
 * name by which Kafka keeps the position: nothing is shared, nobody waits for a
 * rebalance. Returns whether all topics are there. */
static bool assign(const enum bridge_kind *kinds, size_t n_kinds)
{
    static int known[3] = {-1, -1, -1}; /* -1: not looked for */
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);
    bool all = true, more = false;
    size_t i;
    int p;

    for (i = 0; i < n_kinds; i++) {
        enum bridge_kind kind = kinds[i];
        int n = partitions_of(kind);

        for (p = 0; p < n || p < known[kind]; p++) {
            rd_kafka_topic_partition_list_add(list, topics[kind], p)->offset =
                p < known[kind] ? RD_KAFKA_OFFSET_INVALID
                                : begin_at(kind, p, known[kind] < 0);
        }
        all = all && n > 0;
        more = more || n > known[kind];
        known[kind] = n > known[kind] ? n : known[kind];
    }
    if (more && list->cnt > 0) {
        rd_kafka_topic_partition_list_t *now = rd_kafka_topic_partition_list_copy(list);

        (void)rd_kafka_position(consumer, now); /* of those that are read already */
        for (p = 0; p < list->cnt; p++) {
            if (list->elems[p].offset == RD_KAFKA_OFFSET_INVALID) {
                list->elems[p].offset = now->elems[p].offset >= 0 ? now->elems[p].offset
                                                                  : RD_KAFKA_OFFSET_STORED;
            }
        }
        rd_kafka_topic_partition_list_destroy(now);
        (void)rd_kafka_assign(consumer, list);
    }
    rd_kafka_topic_partition_list_destroy(list);
    return all;
}

/* Let the broker have the position, if it is there. If not, the consumer is left as it
 * is: librdkafka would wait for the broker, and the program ends. */
static void close_consumer(void)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_new(consumer);
    uint64_t end_ms = now_ms() + METADATA_MS;
    rd_kafka_error_t *error = rd_kafka_consumer_close_queue(consumer, queue);

    while (error == NULL && !rd_kafka_consumer_closed(consumer) && now_ms() < end_ms) {
        rd_kafka_event_t *event = rd_kafka_queue_poll(queue, POLL_MS / 10);

        if (event != NULL) {
            rd_kafka_event_destroy(event);
        }
    }
    rd_kafka_error_destroy(error);
    rd_kafka_queue_destroy(queue);
    if (rd_kafka_consumer_closed(consumer)) {
        rd_kafka_destroy(consumer);
    }
}

static void in(void)
{
    static const enum bridge_kind of_gateway[] = {BRIDGE_EVENT, BRIDGE_ACK},
                                  of_board[] = {BRIDGE_COMMAND};
    bool gateway = bridge_settings.subscribe;
    rd_kafka_resp_err_t err, said = RD_KAFKA_RESP_ERR_NO_ERROR;
    uint64_t look_ms = 0;

    (void)rd_kafka_poll_set_consumer(consumer);
    while (bridge_running()) {
        rd_kafka_message_t *message;

        if (now_ms() >= look_ms && (gateway || !bridge_settings.no_commands)) {
            bool all = gateway ? assign(of_gateway, 2) : assign(of_board, 1);

            look_ms = now_ms() + (all ? LOOK_MS : POLL_MS);
        }
        message = rd_kafka_consumer_poll(consumer, POLL_MS);
        if (message == NULL) {
            continue;
        }
        err = message->err;
        if (err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            take(message);
            done_with(message);
        } else if (err != said && err != RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART) {
            bridge_say(AIDASH_LOG_WARN, "can't read: %s", rd_kafka_message_errstr(message));
        }
        said = err;
        rd_kafka_message_destroy(message);
    }
    close_consumer();
}

/* ---- options ------------------------------------------------------------------------------ */

static int wrong(const char *written, const char *why)
{
    (void)fprintf(stderr, "aidash-kafka: %s: %s\n", written, why);
    return -1;
}

/* Lines of NAME=VALUE, as kcat -F reads them; # begins a comment. */
static bool read_config(const char *path, char *why, size_t cap)
{
    char line[TEXT_CAP + 64], *value;
    FILE *file = fopen(path, "re");
    unsigned number;

    if (file == NULL) {
        (void)snprintf(why, cap, "it can't be read");
        return false;
    }
    for (number = 1; fgets(line, sizeof(line), file) != NULL; number++) {
        line[strcspn(line, "\r\n")] = '\0';
        if (line[0] == '#' || line[0] == '\0') {
            continue;
        }
        value = strchr(line, '=');
        if (value == NULL || set.n == SETTINGS || (size_t)(value - line) >= 64 ||
            strlen(value + 1) >= TEXT_CAP) {
            (void)snprintf(why, cap, "line %u is no NAME=VALUE, or there are more than %d",
                           number, SETTINGS);
            (void)fclose(file);
            return false;
        }
        *value = '\0';
        memcpy(set.lines[set.n].name, line, strlen(line) + 1);
        memcpy(set.lines[set.n].value, value + 1, strlen(value + 1) + 1);
        set.n++;
    }
    (void)fclose(file);
    return true;
}

static int on_option(const char *name, const char *value, const char *written)
{
    char why[128];

    if (strlen(value) >= TEXT_CAP) {
        return wrong(written, "it is too long");
    }
    if (strcmp(name, "kafka") == 0) {
        (void)snprintf(set.brokers, sizeof(set.brokers), "%s", value);
    } else if (strcmp(name, "kafka-group") == 0) {
        (void)snprintf(set.group, sizeof(set.group), "%s", value);
    } else if (strcmp(name, "kafka-topics") == 0) {
        (void)snprintf(set.prefix, sizeof(set.prefix), "%s", value);
        return value[0] != '\0' && strlen(value) < sizeof(set.prefix) &&
                       strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                     "0123456789._-") == strlen(value)
                   ? 0 : wrong(written, "a topic has letters, digits, . _ and - alone");
    } else if (!read_config(value, why, sizeof(why))) {
        return wrong(written, why);
    }
    return 0;
}

/* The bridge's own settings, then those of --kafka-config. NULL: one is wrong, which is
 * printed without its value, as that may be a password. */
static rd_kafka_conf_t *configure(const char *const own[][2], size_t n)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char why[256];
    size_t i;

    for (i = 0; i < n; i++) {
        if (rd_kafka_conf_set(conf, own[i][0], own[i][1], why, sizeof(why)) !=
            RD_KAFKA_CONF_OK) {
            (void)wrong(own[i][0], why);
            rd_kafka_conf_destroy(conf);
            return NULL;
        }
    }
    for (i = 0; i < set.n; i++) {
        if (rd_kafka_conf_set(conf, set.lines[i].name, set.lines[i].value, NULL, 0) !=
            RD_KAFKA_CONF_OK) {
            (void)wrong("--kafka-config", "librdkafka does not take this line:");
            (void)fprintf(stderr, "  %s\n", set.lines[i].name);
            rd_kafka_conf_destroy(conf);
            return NULL;
        }
    }
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_log_cb(conf, on_log);
    return conf;
}

static int check(void)
{
    char host[64] = "localhost", why[256];
    rd_kafka_conf_t *conf;
    const char *commits = bridge_settings.subscribe ? "true" : "false";

    if (producer != NULL) {
        return 0; /* SIGHUP: it runs already */
    }
    if (set.brokers[0] == '\0') {
        return wrong("--kafka", "which brokers? Such as --kafka 127.0.0.1:9092");
    }
    (void)gethostname(host, sizeof(host) - 1);
    if (set.group[0] == '\0') {
        (void)snprintf(set.group, sizeof(set.group), "%s.%s.%.64s", set.prefix,
                       bridge_settings.publish ? "board" : "gateway",
                       bridge_settings.publish ? bridge_settings.node : host);
    }
    (void)snprintf(topics[BRIDGE_EVENT], TOPIC_CAP, "%s.events", set.prefix);
    (void)snprintf(topics[BRIDGE_COMMAND], TOPIC_CAP, "%s.commands", set.prefix);
    (void)snprintf(topics[BRIDGE_ACK], TOPIC_CAP, "%s.acks", set.prefix);
    const char *const sends[][2] = {
        {"bootstrap.servers", set.brokers}, {"client.id", set.group},
        {"enable.idempotence", "true"}, {"message.timeout.ms", "0"},
        {"queue.buffering.max.messages", "2000"}, {"queue.buffering.max.kbytes", "4096"},
        {"linger.ms", "5"}, {"compression.codec", "lz4"}, {"partitioner", "murmur2_random"},
    };
    const char *const reads[][2] = {
        {"bootstrap.servers", set.brokers}, {"client.id", set.group}, {"group.id", set.group},
        {"enable.auto.commit", commits}, {"auto.commit.interval.ms", "1000"},
        {"enable.auto.offset.store", "false"}, {"auto.offset.reset", "earliest"},
        {"allow.auto.create.topics", "true"}, {"queued.max.messages.kbytes", "8192"},
    };
    producer_conf = configure(sends, sizeof(sends) / sizeof(*sends));
    conf = configure(reads, sizeof(reads) / sizeof(*reads));
    if (producer_conf == NULL || conf == NULL) {
        return -1;
    }
    rd_kafka_conf_set_dr_msg_cb(producer_conf, on_delivery);
    producer = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_dup(producer_conf), why,
                            sizeof(why));
    consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
    return producer != NULL && consumer != NULL ? 0 : wrong("--kafka", why);
}

static const struct aidash_option options[] = {
    {"kafka", "HOST:PORT", "a broker, by which the others are found; may be repeated", 1},
    {"kafka-config", "FILE", "lines of NAME=VALUE for librdkafka, such as security.protocol, "
     "sasl.username and sasl.password", 0},
    {"kafka-group", "NAME", "consumer group, each gateway its own (default "
     "aidash.gateway.HOST)", 0},
    {"kafka-topics", "PREFIX", "of the topics PREFIX.events, .commands and .acks (default "
     "aidash)", 0},
    {NULL, NULL, NULL, 0},
};

int main(int argc, char **argv)
{
    static const struct bridge kafka = {
        "aidash-kafka", "aidash with its boards and gateways on Kafka",
        options, on_option, check, out, in, hang_up,
    };

    return bridge_main(argc, argv, &kafka);
}
