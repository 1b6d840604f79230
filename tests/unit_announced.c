/* codec/announced.c: lines of avahi-browse 0.8, true and forged. */
#include "../src/codec/announced.c"
#include "check.h"

#define BEGIN "=;lo;IPv4;aidash\\032on\\032pi;_aidash._tcp;local;"
#define LINE(host, address, port) BEGIN host ";" address ";" port ";"

/* "HOST ADDRESS PORT tls", or "" if the line tells of no board. */
static const char *read_line(const char *line)
{
    static char out[128];
    struct ad_announced b;
    size_t len = strlen(line);
    char *copy = (char *)check_copy(line, len);

    out[0] = '\0';
    if (ad_announced_parse(copy, len, &b)) {
        (void)snprintf(out, sizeof(out), "%s %s %u%s", b.host, b.address, (unsigned)b.port,
                       b.tls ? " tls" : "");
    }
    free(copy);
    return out;
}

static void test_boards(void)
{
    static const struct {
        const char *line, *board;
    } table[] = {
        {"=;eth0;IPv4;aidash\\032on\\032jetson;_aidash._tcp;local;jetson.local;10.77.0.1;8080;"
         "\"version=0.1.0\" \"tls=no\" \"path=/\"", "jetson.local 10.77.0.1 8080"},
        {"=;lo;IPv6;aidash\\032on\\032jetson;_aidash._tcp;local;jetson.local;fe80::ff:fe00:1;8080;"
         "\"tls=yes\"", "jetson.local fe80::ff:fe00:1%lo 8080 tls"},
        {"=;lo;IPv6;x;_aidash._tcp;local;Pi-2.LOCAL;2001:db8::1;65535;",
         "pi-2.local 2001:db8::1 65535"},
        {LINE("a.b.local", "192.168.1.20", "1"), "a.b.local 192.168.1.20 1"},
        {LINE("pi.local", "1.2.3.4", "80") "\"note=\\\"tls=yes\\\"\"", "pi.local 1.2.3.4 80"},
        {LINE("a234567890123456789012345.local", "1.2.3.4", "80"),
         "a234567890123456789012345.local 1.2.3.4 80"},
    };
    size_t i;

    for (i = 0; i < AD_COUNT(table); i++) {
        CHECK_STR(read_line(table[i].line), table[i].board);
    }
}

static void test_forged(void)
{
    static const char *const lines[] = {
        "", "=", ";;;;;;;;;;", "+;eth0;IPv4;aidash\\032on\\032jetson;_aidash._tcp;local",
        "Failed to create client object: Daemon not running",
        "=;lo;IPv4;x;_http._tcp;local;pi.local;1.2.3.4;80;",
        "=;lo;IPv4;x;_aidash._tcp;example.com;pi.local;1.2.3.4;80;",
        "=;lo;IPX;x;_aidash._tcp;local;pi.local;1.2.3.4;80;",
        "=;lo;IPv6;x;_aidash._tcp;local;pi.local;1.2.3.4;80;",
        "=;lo;IPv4;x;_aidash._tcp;local;pi.local;2001:db8::1;80;",
        "=;no-such-interface;IPv6;x;_aidash._tcp;local;pi.local;fe80::1;80;",
        "=;lo;IPv6;x;_aidash._tcp;local;pi.local;::1;80;",
        "=;lo;IPv6;x;_aidash._tcp;local;pi.local;::ffff:127.0.0.1;80;",
        "=;lo;IPv6;x;_aidash._tcp;local;pi.local;ff02::fb;80;",
        "=;lo;IPv6;x;_aidash._tcp;local;pi.local;::;80;",
        LINE("pi.example.com", "1.2.3.4", "80"), LINE("pilocal", "1.2.3.4", "80"),
        LINE(".local", "1.2.3.4", "80"), LINE("a..local", "1.2.3.4", "80"),
        LINE(".a.local", "1.2.3.4", "80"), LINE("a b.local", "1.2.3.4", "80"),
        LINE("a\r\nHost:.local", "1.2.3.4", "80"), LINE("p\xC3\xA4.local", "1.2.3.4", "80"),
        LINE("a2345678901234567890123456.local", "1.2.3.4", "80"),
        LINE("pi.local", "127.0.0.1", "80"), LINE("pi.local", "0.0.0.0", "80"),
        LINE("pi.local", "224.0.0.251", "80"), LINE("pi.local", "255.255.255.255", "80"),
        LINE("pi.local", "", "80"), LINE("pi.local", "1.2.3.4", "0"),
        LINE("pi.local", "1.2.3.4", "65536"), LINE("pi.local", "1.2.3.4", ""),
        LINE("pi.local", "1.2.3.4", "-1"), LINE("pi.local", "1.2.3.4x", "80"),
        BEGIN "pi.local;1.2.3.4",
    };
    size_t i;

    for (i = 0; i < AD_COUNT(lines); i++) {
        CHECK_STR(read_line(lines[i]), "");
    }
}

int main(void)
{
    test_boards();
    test_forged();
    return check_report();
}
