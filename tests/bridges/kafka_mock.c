/* kafka_mock.c - a Kafka cluster of one broker for tests: librdkafka's mock, whose messages live in its memory.
 *
 * Prints its address, then reads commands, one a line, and answers each with "ok":
 *   down, up     the broker closes its connections and takes no new ones; it is back, with its messages
 *   refuse N     the next N batches are refused (NOT_ENOUGH_REPLICAS), which a producer has to try again
 * Ends with its standard input.
 */
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PRODUCE = 0, BROKER = 1 }; /* ApiKey of ProduceRequest; the id of the first broker of a mock cluster */

int main(void)
{
    char line[64], why[256];
    rd_kafka_t *owner = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), why, sizeof why);
    rd_kafka_mock_cluster_t *cluster;

    if (owner == NULL) {
        fprintf(stderr, "%s\n", why);
        return 1;
    }
    cluster = rd_kafka_mock_cluster_new(owner, 1);
    if (cluster == NULL) {
        return 1;
    }
    printf("%s\n", rd_kafka_mock_cluster_bootstraps(cluster));
    fflush(stdout);
    while (fgets(line, sizeof line, stdin) != NULL) {
        int n = atoi(line + strcspn(line, " "));

        if (strncmp(line, "down", 4) == 0) {
            rd_kafka_mock_broker_set_down(cluster, BROKER);
        } else if (strncmp(line, "up", 2) == 0) {
            rd_kafka_mock_broker_set_up(cluster, BROKER);
        } else if (strncmp(line, "refuse", 6) == 0) {
            while (n-- > 0) {
                rd_kafka_mock_push_request_errors(cluster, PRODUCE, 1, RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS);
            }
        }
        printf("ok\n");
        fflush(stdout);
    }
    rd_kafka_mock_cluster_destroy(cluster);
    rd_kafka_destroy(owner);
    return 0;
}
