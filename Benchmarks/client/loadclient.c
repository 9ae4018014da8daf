/* SPDX-License-Identifier: Apache-2.0
 *
 * loadclient.c
 * The client side of the end-to-end benchmark: librdkafka as its users run it, one JSON line per run.
 *
 *   loadclient mock TOPIC PARTITIONS               a mock cluster; prints its address, ends with standard input
 *   loadclient produce BROKERS TOPIC PARTITIONS SIZE COUNT ACKS PAYLOAD [key=value ...]
 *   loadclient consume BROKERS TOPIC PARTITIONS COUNT [key=value ...]
 *   loadclient latency BROKERS TOPIC SIZE COUNT ACKS
 *
 * PAYLOAD is random (incompressible), json (log lines) or pattern (as compressible as can be).
 * PARTITIONS is how many take turns, 64 records each; 0 gives each record one of 100,000 keys, and the key its partition.
 */
#include <errno.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define POOL_BYTES (32u << 20)

static int64_t failures, delivered;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double cpu_seconds(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_utime.tv_sec + (double)usage.ru_stime.tv_sec +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void fail(const char *what, const char *why) {
    fprintf(stderr, "loadclient: %s: %s\n", what, why);
    exit(1);
}

static uint64_t state = 88172645463325252u;
static uint64_t next_random(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static void fill_json(char *pool) {
    static const char *services[] = {"checkout", "billing", "search", "gateway", "profile", "mailer", "catalog"};
    static const char *words[] = {"accepted", "timeout", "retry", "cache", "miss", "user", "order", "shipped",
                                  "upstream", "closed", "connection", "slow", "query", "token", "expired", "created"};
    size_t at = 0;
    uint64_t clock_ms = 1767225600000u;
    while (at + 1024 < POOL_BYTES) {
        clock_ms += next_random() % 7;
        at += (size_t)sprintf(
            pool + at,
            "{\"ts\":%llu,\"level\":\"%s\",\"service\":\"%s\",\"host\":\"node-%llu\",\"trace\":\"%016llx%016llx\","
            "\"user\":%llu,\"http\":{\"method\":\"%s\",\"path\":\"/api/v2/%s/%llu\",\"status\":%d,\"bytes\":%llu,"
            "\"micros\":%llu},\"message\":\"%s %s %s %s\"}\n",
            (unsigned long long)clock_ms, next_random() % 9 ? "INFO" : "WARN", services[next_random() % 7],
            (unsigned long long)(next_random() % 40), (unsigned long long)next_random(),
            (unsigned long long)next_random(), (unsigned long long)(next_random() % 90000),
            next_random() % 4 ? "GET" : "POST", words[next_random() % 16], (unsigned long long)(next_random() % 9999),
            next_random() % 20 ? 200 : 503, (unsigned long long)(next_random() % 60000),
            (unsigned long long)(next_random() % 400000), words[next_random() % 16], words[next_random() % 16],
            words[next_random() % 16], words[next_random() % 16]);
    }
    memset(pool + at, '\n', POOL_BYTES - at);
}

static char *payload_pool(const char *kind) {
    char *pool = malloc(POOL_BYTES);
    if (!pool) fail("payload", "out of memory");
    if (!strcmp(kind, "random"))
        for (size_t i = 0; i < POOL_BYTES; i += 8) {
            uint64_t value = next_random();
            memcpy(pool + i, &value, 8);
        }
    else if (!strcmp(kind, "json")) fill_json(pool);
    else if (!strcmp(kind, "pattern"))
        for (size_t i = 0; i < POOL_BYTES; i++) pool[i] = (char)('a' + i % 26);
    else fail("payload", "not random, json or pattern");
    return pool;
}

static rd_kafka_conf_t *configuration(const char *brokers, char **pairs, int count) {
    char why[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (rd_kafka_conf_set(conf, "bootstrap.servers", brokers, why, sizeof why)) fail("bootstrap.servers", why);
    for (int i = 0; i < count; i++) {
        char *equals = strchr(pairs[i], '=');
        if (!equals) fail(pairs[i], "not key=value");
        *equals = 0;
        if (rd_kafka_conf_set(conf, pairs[i], equals + 1, why, sizeof why)) fail(pairs[i], why);
    }
    return conf;
}

static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque) {
    (void)client, (void)opaque;
    if (message->err) failures++;
    delivered++;
}

static rd_kafka_t *new_client(rd_kafka_type_t type, rd_kafka_conf_t *conf) {
    char why[512];
    rd_kafka_t *client = rd_kafka_new(type, conf, why, sizeof why);
    if (!client) fail("client", why);
    return client;
}

static rd_kafka_topic_t *acknowledged_topic(rd_kafka_t *client, const char *topic, const char *acks) {
    char why[512];
    rd_kafka_topic_conf_t *conf = rd_kafka_topic_conf_new();
    if (rd_kafka_topic_conf_set(conf, "request.required.acks", acks, why, sizeof why)) fail("acks", why);
    rd_kafka_topic_conf_set(conf, "message.timeout.ms", "120000", why, sizeof why);
    return rd_kafka_topic_new(client, topic, conf);
}

static int mock(const char *topic, int partitions) {
    rd_kafka_t *client = new_client(RD_KAFKA_PRODUCER, rd_kafka_conf_new());
    rd_kafka_mock_cluster_t *cluster = rd_kafka_mock_cluster_new(client, 1);
    if (!cluster) fail("mock cluster", "not made");
    rd_kafka_mock_topic_create(cluster, topic, partitions, 1);
    printf("%s\n", rd_kafka_mock_cluster_bootstraps(cluster));
    fflush(stdout);
    while (getchar() != EOF) {
    }
    return 0;
}

static int produce(char **a, int extra, char **pairs) {
    const char *topic_name = a[1];
    int partitions = atoi(a[2]);
    size_t size = strtoul(a[3], NULL, 10);
    int64_t count = atoll(a[4]), sent = 0;
    char *pool = payload_pool(a[6]);
    rd_kafka_conf_t *conf = configuration(a[0], pairs, extra);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_t *client = new_client(RD_KAFKA_PRODUCER, conf);
    rd_kafka_topic_t *topic = acknowledged_topic(client, topic_name, a[5]);
    const struct rd_kafka_metadata *metadata;
    rd_kafka_metadata(client, 0, topic, &metadata, 10000);
    size_t at = 0;
    double begin = now(), cpu = cpu_seconds();
    while (sent < count) {
        if (at + size > POOL_BYTES) at = (size_t)(next_random() % 4096);
        int32_t partition = partitions ? (int32_t)(sent / 64 % partitions) : RD_KAFKA_PARTITION_UA;
        char key[16];
        int key_size = partitions ? 0 : snprintf(key, sizeof key, "key-%05d", (int)(next_random() % 100000));
        if (rd_kafka_produce(topic, partition, RD_KAFKA_MSG_F_COPY, pool + at, size, key_size ? key : NULL,
                             (size_t)key_size, NULL)) {
            rd_kafka_poll(client, 1);
            continue;
        }
        at += size;
        sent++;
        if (sent % 256 == 0) rd_kafka_poll(client, 0);
    }
    while (delivered < count) rd_kafka_poll(client, 100);
    double seconds = now() - begin;
    printf("{\"records\": %lld, \"failures\": %lld, \"bytes\": %lld, \"seconds\": %.6f, \"cpuSeconds\": %.3f}\n",
           (long long)count, (long long)failures, (long long)(count * (int64_t)size), seconds, cpu_seconds() - cpu);
    rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(client);
    return failures ? 1 : 0;
}

static int consume(char **a, int extra, char **pairs) {
    int partitions = atoi(a[2]);
    int64_t count = atoll(a[3]), records = 0, bytes = 0;
    rd_kafka_t *client = new_client(RD_KAFKA_CONSUMER, configuration(a[0], pairs, extra));
    rd_kafka_topic_t *topic = rd_kafka_topic_new(client, a[1], NULL);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    const struct rd_kafka_metadata *metadata;
    rd_kafka_metadata(client, 0, topic, &metadata, 10000);
    double cpu = cpu_seconds(), begin = now(), first = 0, last = 0;
    for (int p = 0; p < partitions; p++) rd_kafka_consume_start_queue(topic, p, RD_KAFKA_OFFSET_BEGINNING, queue);
    static rd_kafka_message_t *batch[4096];
    last = begin;
    while (records < count) {
        /* A batch that does not fill up waits for its whole timeout, so the timeout is short. */
        ssize_t found = rd_kafka_consume_batch_queue(queue, 20, batch, 4096);
        if (found <= 0) {
            if (now() - last > 20) fail("consume", "nothing for 20 s");
            continue;
        }
        for (ssize_t i = 0; i < found; i++) {
            if (!batch[i]->err) {
                records++;
                bytes += (int64_t)batch[i]->len;
            } else if (batch[i]->err != RD_KAFKA_RESP_ERR__PARTITION_EOF) fail("consume", rd_kafka_err2str(batch[i]->err));
            rd_kafka_message_destroy(batch[i]);
        }
        last = now();
        if (!first) first = last;
    }
    printf("{\"records\": %lld, \"bytes\": %lld, \"seconds\": %.6f, \"firstSeconds\": %.6f, \"cpuSeconds\": %.3f}\n",
           (long long)records, (long long)bytes, last - begin, first - begin, cpu_seconds() - cpu);
    fflush(stdout);
    _exit(0);
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static int latency(char **a) {
    size_t size = strtoul(a[2], NULL, 10);
    int count = atoi(a[3]), warm = 200;
    char *pool = payload_pool("random");
    char *quick[] = {strdup("linger.ms=0"), strdup("queue.buffering.max.messages=10")};
    rd_kafka_conf_t *conf = configuration(a[0], quick, 2);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_t *client = new_client(RD_KAFKA_PRODUCER, conf);
    rd_kafka_topic_t *topic = acknowledged_topic(client, a[1], a[4]);
    double *micros = malloc(sizeof *micros * (size_t)count);
    for (int i = -warm; i < count; i++) {
        double begin = now();
        if (rd_kafka_produce(topic, 0, RD_KAFKA_MSG_F_COPY, pool + (size_t)(i + warm) * size % (POOL_BYTES - size), size,
                             NULL, 0, NULL)) fail("produce", "refused");
        for (int64_t before = delivered; delivered == before;) rd_kafka_poll(client, 1000);
        if (i >= 0) micros[i] = (now() - begin) * 1e6;
    }
    qsort(micros, (size_t)count, sizeof *micros, ascending);
    printf("{\"records\": %d, \"failures\": %lld, \"p50\": %.1f, \"p99\": %.1f, \"p999\": %.1f, \"max\": %.1f}\n", count,
           (long long)failures, micros[count / 2], micros[count * 99 / 100], micros[count * 999 / 1000],
           micros[count - 1]);
    return failures ? 1 : 0;
}

int main(int argc, char **argv) {
    if (argc == 4 && !strcmp(argv[1], "mock")) return mock(argv[2], atoi(argv[3]));
    if (argc >= 9 && !strcmp(argv[1], "produce")) return produce(argv + 2, argc - 9, argv + 9);
    if (argc >= 6 && !strcmp(argv[1], "consume")) return consume(argv + 2, argc - 6, argv + 6);
    if (argc == 7 && !strcmp(argv[1], "latency")) return latency(argv + 2);
    fprintf(stderr, "usage: see the head of loadclient.c\n");
    return 64;
}
