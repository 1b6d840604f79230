/* refusals.c - how aidash answers in the engine's place: which errors there are, and
 * their form in each API. Pure.
 */
#ifndef AD_METER_REFUSALS_C
#define AD_METER_REFUSALS_C

#include "../codec/http_field.c"

#if AIDASH_METER

/* Whose API a route is of. What is not known is OpenAI's. */
enum ad_api { AD_API_OPENAI, AD_API_OLLAMA, AD_API_ANTHROPIC };

static enum ad_api ad_api_of(struct ad_slice route)
{
    if (ad_slice_begins(route, "/api/")) {
        return AD_API_OLLAMA;
    }
    return ad_slice_begins(route, "/v1/messages") ? AD_API_ANTHROPIC
                                                  : AD_API_OPENAI;
}

/* An error in the shape of the API that was asked. */
static void ad_put_api_error(struct ad_text *t, enum ad_api api, int status,
                             const char *type, const char *why)
{
    if (api == AD_API_OLLAMA) {
        ad_puts(t, "{\"error\":");
        ad_put_string(t, why);
        ad_puts(t, "}");
        return;
    }
    ad_puts(t, api == AD_API_ANTHROPIC ? "{\"type\":\"error\",\"error\":{"
                                       : "{\"error\":{");
    ad_puts(t, "\"message\":");
    ad_put_string(t, why);
    ad_putf(t, ",\"type\":\"%s\"", type);
    if (api == AD_API_OPENAI) {
        ad_putf(t, ",\"param\":null,\"code\":%d", status);
    }
    ad_puts(t, "}}");
}

/* How aidash answers in the engine's place. */
struct ad_refusal {
    int status;
    const char *type;   /* of the error, in OpenAI's terms */
    const char *record; /* the status in the request's record */
    const char *why;    /* for the client, in English */
};

static const struct ad_refusal
    ad_refuse_waited = {503, "overloaded_error", "refused",
                        "waited too long in the queue"},
    ad_refuse_cancelled = {503, "cancelled", "cut", "cancelled at the dashboard"},
    ad_refuse_slow_body = {408, "invalid_request_error", "refused",
                           "the body did not arrive"},
    ad_refuse_slowest_body = {408, "invalid_request_error", "refused",
                              "the body came slowly, and another request needs "
                              "its place"},
    ad_refuse_heaviest = {503, "overloaded_error", "refused",
                          "this address has the most requests under way, and "
                          "another one needs a place"},
    ad_refuse_late_model = {413, "invalid_request_error", "refused",
                            "\"model\" is not in the first 1 MiB of the body: "
                            "with several engines it must be"},
    ad_refuse_chunks = {400, "invalid_request_error", "refused",
                        "the request's chunks are malformed"},
    ad_refuse_lacks = {503, "overloaded_error", "refused",
                       "no descriptor is left for a connection to the engine, or no "
                       "TLS session"},
    ad_refuse_unreachable = {502, "upstream_error", "failed",
                             "the engine can't be reached"},
    ad_refuse_no_answer = {502, "upstream_error", "failed",
                           "the engine closed the connection without an answer"},
    ad_refuse_silent = {504, "upstream_error", "failed",
                        "the engine did not begin its answer in time"},
    ad_refuse_stopped = {504, "upstream_error", "failed",
                         "the engine stopped in the middle of its answer's head"};

#endif /* AIDASH_METER */

#endif
