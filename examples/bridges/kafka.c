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
#include <stdio.h>
#include <string.h>

enum {
    POLL_MS = 200,      /* the longest wait for the broker at once */
    LOOK_MS = 10000,    /* between two looks for partitions that are new */
    PARTITIONS = 1024,  /* that are read of a topic */
    METADATA_MS = 2000, /* for its answer to whether it is there */
    TOPIC_CAP = BRIDGE_VALUE_CAP + 16
};

static char brokers[BRIDGE_VALUE_CAP], group[BRIDGE_VALUE_CAP], prefix[BRIDGE_VALUE_CAP] = "aidash";
static char topics[3][TOPIC_CAP]; /* by enum bridge_kind */

static rd_kafka_conf_t *conf; /* of both of these; what is not for one of them, it ignores */
static rd_kafka_t *producer;  /* thread `out` */
static rd_kafka_t *consumer;  /* thread `in` */

/* ---- sending: thread `out` ------------------------------------------------------------ */

/* A delivery report: the broker has a message, or will never have it. */
static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    (void)rk;
    (void)opaque;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        bridge_link(true, brokers);
    } else {
        bridge_lost(1);
        bridge_link(false, rd_kafka_err2str(message->err));
    }
}

/* That all brokers are down says nothing of why: the error before did. */
static void on_error(rd_kafka_t *rk, int err, const char *reason, void *opaque)
{
    static char reasons[2][256]; /* of the producer and the consumer, each its thread's own */
    char *last = reasons[rk == consumer];

    (void)opaque;
    if (err != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
        (void)snprintf(last, sizeof(*reasons), "%s", reason);
    }
    if (err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || err == RD_KAFKA_RESP_ERR__AUTHENTICATION ||
        err == RD_KAFKA_RESP_ERR__RESOLVE || err == RD_KAFKA_RESP_ERR__SSL) {
        bridge_link(false, last[0] != '\0' ? last : reason);
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

    (void)rd_kafka_poll(producer, 0);
    if (!bridge_is_up() && rd_kafka_metadata(producer, 0, NULL, &metadata, METADATA_MS) ==
                               RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_metadata_destroy(metadata);
        bridge_link(true, brokers);
    }
    return bridge_is_up();
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
    other = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_dup(conf), why, sizeof(why));
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
        if (err != RD_KAFKA_RESP_ERR__QUEUE_FULL || bridge_over()) {
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
    size_t i;

    while (!bridge_over()) {
        renew();
        if (!reach()) {
            if (bridge_pause_longer(&tries)) {
                continue;
            }
            break;
        }
        tries = 0;
        if (bridge_take(&batch, POLL_MS) == 0 && !bridge_running()) {
            break;
        }
        for (i = 0; i < batch.n; i++) {
            send_message(&batch.messages[i]);
        }
    }
    while (rd_kafka_flush(producer, POLL_MS) != RD_KAFKA_RESP_ERR_NO_ERROR && !bridge_over()) {
    }
    (void)rd_kafka_purge(producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    (void)rd_kafka_flush(producer, POLL_MS);
    rd_kafka_destroy(producer);
}

/* ---- reading: thread `in` -------------------------------------------------------------- */

/* A gateway of --node NAME... shows these alone. */
static bool wanted(const char *node)
{
    size_t i;

    for (i = 0; i < bridge_settings.nodes_n; i++) {
        if (strcmp(bridge_settings.nodes[i], node) == 0) {
            return true;
        }
    }
    return bridge_settings.nodes_n == 0;
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
        if (strcmp(key, bridge_settings.nodes[0]) == 0) {
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

/* Read all partitions of the topics, those that are new as well. There are no members in
 * the group, which is but the name by which Kafka keeps the position: nothing is shared,
 * nobody waits for a rebalance. Returns whether all topics are there. */
static bool assign(const enum bridge_kind *kinds, size_t n_kinds)
{
    static int known[3] = {-1, -1, -1}; /* -1: not looked for */
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);
    bool all = true;
    size_t i;
    int p;

    for (i = 0; i < n_kinds; i++) {
        enum bridge_kind kind = kinds[i];
        int n = partitions_of(kind);

        for (p = known[kind] > 0 ? known[kind] : 0; p < n; p++) {
            rd_kafka_topic_partition_list_add(list, topics[kind], p)->offset =
                begin_at(kind, p, known[kind] < 0);
        }
        known[kind] = n > known[kind] ? n : known[kind];
        all = all && n > 0;
    }
    if (list->cnt > 0) {
        rd_kafka_error_destroy(rd_kafka_incremental_assign(consumer, list));
    }
    rd_kafka_topic_partition_list_destroy(list);
    return all;
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

        if (bridge_now_ms() >= look_ms && (gateway || !bridge_settings.no_commands)) {
            bool all = gateway ? assign(of_gateway, 2) : assign(of_board, 1);

            look_ms = bridge_now_ms() + (all ? LOOK_MS : POLL_MS);
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
    (void)rd_kafka_consumer_close(consumer); /* the broker gets the position */
    rd_kafka_destroy(consumer);
}

/* ---- options ------------------------------------------------------------------------------ */

/* Lines of NAME=VALUE, as kcat -F reads them; # begins a comment. What is wrong is told
 * without the value, as that may be a password. */
static const char *read_config(const char *path)
{
    static char why[128];
    char line[1024], *value;
    FILE *file = fopen(path, "re");
    unsigned number;

    if (file == NULL) {
        return "it can't be read";
    }
    why[0] = '\0';
    for (number = 1; why[0] == '\0' && fgets(line, sizeof(line), file) != NULL; number++) {
        value = line + strcspn(line, "=\r\n");
        if (line[0] == '#' || value == line) {
            continue;
        }
        if (*value != '=' || strlen(line) == sizeof(line) - 1) {
            (void)snprintf(why, sizeof(why), "line %u is no NAME=VALUE, or too long", number);
            break;
        }
        *value++ = '\0';
        value[strcspn(value, "\r\n")] = '\0';
        if (rd_kafka_conf_set(conf, line, value, NULL, 0) != RD_KAFKA_CONF_OK) {
            (void)snprintf(why, sizeof(why), "librdkafka does not take line %u: %.64s", number,
                           line);
        }
    }
    (void)fclose(file);
    return why[0] != '\0' ? why : NULL;
}

static bool configure(const char *const settings[][2], size_t n)
{
    char why[256];
    size_t i;

    for (i = 0; i < n; i++) {
        if (rd_kafka_conf_set(conf, settings[i][0], settings[i][1], why, sizeof(why)) !=
            RD_KAFKA_CONF_OK) {
            (void)bridge_wrong(settings[i][0], why);
            return false;
        }
    }
    return true;
}

static int check(void)
{
    bool gateway = bridge_settings.subscribe;
    const char *const settings[][2] = {
        {"bootstrap.servers", brokers}, {"client.id", group}, {"group.id", group},
        {"enable.auto.commit", gateway ? "true" : "false"},
    };
    char host[BRIDGE_NAME_CAP], why[256];
    size_t len = strspn(prefix, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789._-");

    if (brokers[0] == '\0') {
        return bridge_wrong("--kafka", "which brokers? Such as --kafka 127.0.0.1:9092");
    }
    if (len == 0 || len > 64 || prefix[len] != '\0') {
        return bridge_wrong("--kafka-topics", "a topic has letters, digits, . _ and - alone");
    }
    if (group[0] == '\0') {
        bridge_host(host);
        (void)snprintf(group, sizeof(group), "%s.%s.%s", prefix, gateway ? "gateway" : "board",
                       gateway ? host : bridge_settings.nodes[0]);
    }
    (void)snprintf(topics[BRIDGE_EVENT], TOPIC_CAP, "%s.events", prefix);
    (void)snprintf(topics[BRIDGE_COMMAND], TOPIC_CAP, "%s.commands", prefix);
    (void)snprintf(topics[BRIDGE_ACK], TOPIC_CAP, "%s.acks", prefix);
    if (!configure(settings, sizeof(settings) / sizeof(*settings))) {
        return -1;
    }
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_log_cb(conf, on_log);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    producer = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_dup(conf), why, sizeof(why));
    consumer = producer == NULL ? NULL : rd_kafka_new(RD_KAFKA_CONSUMER, rd_kafka_conf_dup(conf),
                                                      why, sizeof(why));
    return consumer != NULL ? 0 : bridge_wrong("--kafka", why);
}

static const struct bridge_option options[] = {
    {{"kafka", "HOST:PORT", "a broker, by which the others are found; may be repeated", 1},
     .text = brokers},
    {{"kafka-config", "FILE", "lines of NAME=VALUE for librdkafka, such as security.protocol, "
      "sasl.username and sasl.password", 0}, .parse = read_config},
    {{"kafka-group", "NAME", "consumer group, each gateway its own (default "
      "aidash.gateway.HOST)", 0}, .text = group},
    {{"kafka-topics", "PREFIX", "of the topics PREFIX.events, .commands and .acks (default "
      "aidash)", 0}, .text = prefix},
    {.option = {NULL, NULL, NULL, 0}},
};

int main(int argc, char **argv)
{
    static const struct bridge kafka = {
        "aidash-kafka", "aidash with its boards and gateways on Kafka", options, check, out, in,
    };
    static const char *const defaults[][2] = { /* --kafka-config may have others */
        {"enable.idempotence", "true"}, {"message.timeout.ms", "0"},
        {"socket.timeout.ms", "15000"}, {"socket.keepalive.enable", "true"},
        {"queue.buffering.max.messages", "2000"}, {"queue.buffering.max.kbytes", "4096"},
        {"linger.ms", "5"}, {"compression.codec", "lz4"}, {"partitioner", "murmur2_random"},
        {"auto.commit.interval.ms", "1000"}, {"enable.auto.offset.store", "false"},
        {"auto.offset.reset", "earliest"}, {"allow.auto.create.topics", "true"},
        {"queued.max.messages.kbytes", "8192"},
    };

    conf = rd_kafka_conf_new();
    return configure(defaults, sizeof(defaults) / sizeof(*defaults))
               ? bridge_main(argc, argv, &kafka) : 1;
}
