/* codec/traceparent.c: valid and invalid fields of W3C Trace Context, section 3.2. */
#include "../src/codec/traceparent.c"
#include "check.h"

#define ID "4bf92f3577b34da6a3ce929d0e0e4736"
#define SPAN "00f067aa0ba902b7"

int main(void)
{
    static const struct {
        const char *text;
        bool ok, dropped;
    } cases[] = {
        {"00-" ID "-" SPAN "-01", true, false},
        {"00-" ID "-" SPAN "-00", true, true},
        {"00-" ID "-" SPAN "-03", true, false},
        {"00-" ID "-" SPAN "-f2", true, true},
        {"cc-" ID "-" SPAN "-01", true, false},
        {"cc-" ID "-" SPAN "-01-what-the-future-will-be-like", true, false},
        {"cc-" ID "-" SPAN "-01.what", false, false},
        {"00-" ID "-" SPAN "-01-x", false, false},
        {"00-" ID "-" SPAN "-01.", false, false},
        {"ff-" ID "-" SPAN "-01", false, false},
        {"0G-" ID "-" SPAN "-01", false, false},
        {"00-" ID "-" SPAN "-0", false, false},
        {"00-" ID "-" SPAN "-0g", false, false},
        {"00-" ID "-" SPAN "-0A", false, false},
        {"00-" ID "-" SPAN, false, false},
        {"00-00000000000000000000000000000000-" SPAN "-01", false, false},
        {"00-" ID "-0000000000000000-01", false, false},
        {"00-4BF92F3577B34DA6A3CE929D0E0E4736-" SPAN "-01", false, false},
        {"00-4bf92f3577b34da6a3ce929d0e0e473-" SPAN "-01", false, false},
        {"00." ID "-" SPAN "-01", false, false},
        {"00-" ID "." SPAN "-01", false, false},
        {"00-" ID "-" SPAN ".01", false, false},
        {"", false, false},
    };
    struct ad_http_field fields[2];
    struct ad_http_fields head = {fields, 0, 0};
    struct ad_trace trace;
    size_t i;

    for (i = 0; i < AD_COUNT(cases); i++) {
        CHECK_EQ(ad_trace_parse(ad_slice_of(cases[i].text), &trace), cases[i].ok);
        CHECK_STR(trace.id, cases[i].ok ? ID : "");
        CHECK_STR(trace.parent, cases[i].ok ? SPAN : "");
        CHECK_EQ(trace.dropped, cases[i].dropped);
    }
    for (i = 0; i < 2; i++) {
        fields[i].name = ad_slice_of("Traceparent");
        fields[i].value = ad_slice_of(cases[0].text);
    }
    head.n = 1;
    ad_trace_read(&head, &trace);
    CHECK_STR(trace.id, ID);
    head.n = 2; /* more than one is none */
    ad_trace_read(&head, &trace);
    CHECK_STR(trace.id, "");
    return check_report();
}
