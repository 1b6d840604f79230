/* aidash.c - live dashboard for an AI engine: server, library, command line.
 * API and its limits: aidash.h. MIT licence, see LICENSE.
 *
 * This file is the whole compile: it includes the parts in src/. A part includes
 * the parts that it uses, all of them above it here. `make amalgamation` joins
 * aidash.c and all that it includes into one file to drop into a project.
 *
 *   limits.h                 the public AIDASH_* size macros
 *   base/memory.h            rows of the map of static memory
 *   base/platform.h          feature macros, system headers, compilers
 *   base/clock.c             the clocks, units of time
 *   base/log.c               lines to stderr or the embedder, without waiting
 *   base/decimal.c           the one reader of decimal numbers
 *   base/text.c              text in buffers of fixed size
 *   base/file.c              small files that change
 *   base/net.c               addresses and sockets
 *   base/url.c               URLs of engines
 *   base/histogram.c         times between tokens in fixed memory
 *   base/sorted.c            few numbers in their order, their middle
 *   base/sha256.c            SHA-256
 *   base/sha1.c              SHA-1, for handshakes of WebSockets
 *   base/date.c              times as people read them
 *   base/process.c           what the system says of this process
 *   base/random.c            random bytes
 *   base/failure.c           why a start failed
 *   base/state.c             the state directory
 *   base/lan.c               this machine's names and addresses
 *   base/thread.c            a thread of its own for what may wait long
 *   codec/utf8.c             UTF-8, names
 *   codec/faults.c           what can be wrong with a message
 *   codec/json_stream.c      the grammar of JSON, in pieces
 *   codec/json.c             a whole JSON text: checked, read by jsmn
 *   codec/lines.c            lines out of a stream
 *   codec/http_fault.c       what can be wrong with an HTTP message
 *   codec/http_field.c       fields, lists, hosts, origins
 *   codec/percent.c          %XX in a query
 *   codec/base64url.c        bytes as base64url
 *   codec/qr.c               QR codes
 *   codec/exposition.c       metrics as Prometheus reads them
 *   codec/json_members.c     the members of a JSON object, as text
 *   codec/http_head.c        the one strict parser of HTTP heads
 *   codec/http_body.c        lengths and chunks
 *   codec/http_answer.c      an answer as it comes over a connection
 *   codec/handshake.c        the handshake of a WebSocket, both sides
 *   codec/http_semantics.c   what a parsed head asks for
 *   codec/http_write.c       heads and chunks of our own
 *   codec/answer.c           heads and errors of aidash's answers
 *   codec/websocket.c        WebSocket frames
 *   codec/event_stream.c     server-sent events, as they come
 *   codec/messages.c         samples, commands, client_id
 *   codec/tick.c             the tick that never changes
 *   codec/relayed.c          an event of another board
 *   codec/announced.c        a board that is announced in the LAN
 *   codec/traceparent.c      which trace a request belongs to
 *   codec/llm_paths.c        what of an engine's JSON matters
 *   codec/llm_facts.c        an engine's answer: token counts and times
 *   codec/llm_events.c       an event of its body
 *   codec/llm_scan.c         its body: event streams, JSON texts
 *   codec/llm_model.c        the model that a request names
 *   codec/llm_prompt.c       how much text a request has; was its prompt cut?
 *   guard/heap.c             static memory that mbedTLS allocates from
 *   guard/crypto.c           mbedTLS: its memory, its random numbers
 *   guard/trust.c            whom to believe in TLS
 *   guard/tls.c              TLS sessions of both sides, by mbedTLS
 *   guard/grant.c            what somebody may do
 *   guard/rights.c           who may do what: the policy
 *   guard/keys.c             the key file
 *   guard/pairing.c          how a device gets a key
 *   guard/jwks.c             the public keys that sign tokens
 *   guard/jwt.c              JSON Web Tokens
 *   guard/jwt_files.c        the files with their keys
 *   guard/credentials.c      what a request brings to show who asks
 *   guard/throttle.c         how often an address may do what costs us
 *   core/poller.c            epoll or poll()
 *   core/hub.c               the hub's clock, sleep, calls to it
 *   core/key_writer.c        what changes the key file, in a thread
 *   core/inbox.c             samples from any thread to the hub
 *   core/feed.c              the byte ring of finished frames
 *   core/formats.c           batch, SSE and JSON forms of the feed
 *   core/events.c            what all viewers get
 *   core/engine.c            models, active model, pause, status
 *   core/rate.c              tokens a second
 *   core/measures.c          requests, tokens and times of each model, counted
 *   core/ticks.c             samples become ticks
 *   core/posts.c             notes, states, ends of commands to the hub
 *   core/notes.c             sentences on the time axis
 *   core/own_commands.c      commands that the embedder adds
 *   core/gauges.c            named values: temperature and the like
 *   core/own_requests.c      requests of an engine without the meter
 *   core/sources.c           simulator, stdin, UDP, inbox
 *   core/relay.c             other boards' events to the hub, none lost
 *   core/nodes.c             the other boards: state, newest events, links
 *   core/access.c            which Host and Origin may ask
 *   core/peers.c             sockets by the address of their peers
 *   core/tls_pump.c          TLS connections as plain ones
 *   core/certificate.c       the files of the server's certificate
 *   core/clients.c           the clients' slots, phases, sending, fan-out
 *   core/commands.c          pause, resume, switch, drain, cancel
 *   core/viewers.c           hello, WebSocket messages, pings
 *   core/exchanges.c         bodies of POST, GET /ticks
 *   core/attach.c            a connection becomes a client; its events
 *   core/shares.c            pending places by address: who gives way
 *   core/pending.c           a connection up to its whole head; short answers
 *   core/accept.c            listeners, accept()
 *   meter/baseline.c         how fast each model usually is
 *   meter/totals.c           what each client has used of each model
 *   meter/identity.c         who sends a request
 *   meter/quota.c            how many tokens a client may use a day
 *   meter/usage.c            GET /usage
 *   meter/upstreams.c        the engines and what is known of them
 *   meter/resolver.c         the names of engines become addresses
 *   meter/dial.c             a connection to an engine
 *   meter/fetch.c            one request of aidash's own to an engine
 *   meter/models.c           what is known of each model
 *   meter/requests.c         proxied requests: state, memory, the queue
 *   meter/facts.c            their context, prompt cache, loading, prefill
 *   meter/reports.c          their events, ticks and records
 *   meter/refusals.c         errors in the engine's place
 *   meter/answers.c          the head of its answer, for the client
 *   meter/proxy.c            relaying a request and its answer
 *   meter/lists.c            the lists of several engines' models as one
 *   meter/tunnel.c           a WebSocket of a client and the engine
 *   meter/upload.c           a request's body: passed on, or given another model
 *   meter/room.c             who gives way when all is taken
 *   meter/queue.c            admission, beginning, time limits
 *   meter/bench.c            a benchmark: requests of aidash's own
 *   meter/discovery.c        engines' models and metrics
 *   meter/scrape.c           an engine's page of metrics
 *   meter/outbox.c           what aidash itself sends to other servers
 *   meter/meter.c            the meter as the hub's loop sees it
 *   board/value.c            what a sensor says: a number, or why there is none
 *   board/parse.c            the texts that tell of a board
 *   board/tree.c             its files, below a root
 *   board/sensors.c          its units and their readings
 *   board/find.c             which sensors it has
 *   board/helpers.c          its firmware, nvidia-smi
 *   board/report.c           all that its sensors say now
 *   board/history.c          rows of seconds to minutes
 *   board/history_file.c     and over a reboot
 *   board/history_answer.c   GET /history
 *   board/marks.c            what may slow an engine down
 *   board/verdict.c          why it is slow, in a sentence
 *   board/energy.c           what answers cost in energy
 *   board/alert_rules.c      rules of alerts: their text, when they fire
 *   board/alerts.c           their values, the event, GET /alerts
 *   board/alert_send.c       alerts on their way to a webhook
 *   board/board.c            the event that tells it, once a second
 *   board/numbers.c          the numbers in a report
 *   board/metrics.c          all metrics: the table
 *   board/otlp.c             spans and metrics for an OpenTelemetry collector
 *   fleet/link.c             what links of boards and gateways have in common
 *   fleet/uplinks.c          boards that forward their events to this one
 *   fleet/browse.c           which boards are announced in the LAN
 *   fleet/follow.c           boards whose events this one reads
 *   fleet/forward.c          this board's events to a gateway
 *   fleet/fleet.c            all of it, as the hub's loop sees it
 *   web/seam.h               the calls that run up to civetweb
 *   web/arena.c              civetweb's static memory
 *   web/assets.c             the dashboard's files
 *   web/workers.c            requests that a worker answers
 *   web/route.c              a judged request
 *   web/auth_routes.c        signing in and out
 *   web/meter_routes.c       GET /requests, /usage, /bench
 *   web/extra_routes.c       GET /gauges, /notes, /commands
 *   web/fleet_routes.c       GET /forward
 *   web/metrics_routes.c     GET /metrics
 *   web/forward.c            what goes to the engine
 *   web/own_routes.c         what the program that embeds aidash answers
 *   web/share.c              GET /addresses, /qr: the page's address for others
 *   web/routes.c             where a judged request goes
 *   web/memory.c             the map of static memory
 *   web/brand.c              the program's title, logo and panel in the page
 *   web/status.c             GET /status
 *   app/config_list.c        lists in the configuration
 *   app/config_engines.c     what it says of engines, checked
 *   app/config_fleet.c       of other boards
 *   app/config_watch.c       of history, alerts, OpenTelemetry
 *   app/config.c             the configuration, checked
 *   app/calls.c              what posts from other threads do
 *   app/loop.c               the hub's loop
 *   app/api.c                what aidash.h declares
 *   app/api_engine.c         gauges, notes, the engine's side of it
 *   app/api_nodes.c          other boards
 *   app/api_routes.c         paths of the program's own
 *   app/options.c            options: file, environment, arguments
 *   app/option_values.c      their values
 *   app/ports.c              which program has a port
 *   app/engines.c            the engines that doctor finds
 *   app/machine.c            what it asks of this machine
 *   app/doctor.c             aidash doctor
 *   app/alert.c              the command alert test
 *   app/bench.c              aidash bench
 *   app/keys.c               aidash keys, aidash token
 *   app/qr.c                 QR codes on a terminal
 *   app/pair.c               aidash pair
 *   app/top_state.c          what aidash top knows of an aidash
 *   app/top_screen.c         how it looks on a terminal, and as JSON
 *   app/terminal.c           the terminal that it draws on
 *   app/top.c                aidash top
 *   app/main.c               the command line
 *   web/civetweb_api.h       how civetweb is built
 *   web/pages.c              what the workers answer
 *   web/inflate.c            the page without gzip, by zlib
 *   web/glue.c               civetweb itself, last
 *
 * The way of a tick: a source (core/sources.c; an HTTP body: core/exchanges.c; the
 * meter: meter/reports.c; aidash_publish(): through core/inbox.c) ->
 * ad_tick_apply() completes it -> ad_event_append() encodes it once, as a
 * WebSocket frame in the feed -> ad_fan_out() sends each client all that it has
 * not got, with one send().
 *
 * The way of a proxied request: core/pending.c reads its head -> web/routes.c judges
 * it whole -> ad_proxy_begin() -> it waits in the queue (meter/queue.c) ->
 * meter/proxy.c connects to the engine and relays; codec/llm_scan.c reads a copy
 * of the answer -> meter/reports.c makes ticks, and the request's record at its
 * end. Nothing of it passes a civetweb worker.
 */

#ifdef __cplusplus
#error "aidash.c is C: compile it with a C compiler; aidash.h is for C++, too"
#endif

#if defined(__has_include) && !defined(AD_AMALGAMATION)
#if !__has_include("src/limits.h")
#error "aidash.c needs src/ beside it; `make amalgamation` makes one file"
#endif
#endif

#define AD_UNIT

#if !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* see src/base/platform.h */
#endif

#ifdef AIDASH_CONFIG
#include AIDASH_CONFIG
#endif

#include "src/limits.h"
#include "src/base/memory.h"
#include "src/base/platform.h"
#include "src/base/clock.c"
#include "src/base/log.c"
#include "src/base/decimal.c"
#include "src/base/text.c"
#include "src/base/file.c"
#include "src/base/net.c"
#include "src/base/url.c"
#include "src/base/histogram.c"
#include "src/base/sorted.c"
#include "src/base/sha256.c"
#include "src/base/sha1.c"
#include "src/base/date.c"
#include "src/base/process.c"
#include "src/base/random.c"
#include "src/base/failure.c"
#include "src/base/state.c"
#include "src/base/lan.c"
#include "src/base/thread.c"
#include "src/codec/utf8.c"
#include "src/codec/faults.c"
#include "src/codec/json_stream.c"
#include "src/codec/json.c"
#include "src/codec/lines.c"
#include "src/codec/http_fault.c"
#include "src/codec/http_field.c"
#include "src/codec/percent.c"
#include "src/codec/base64url.c"
#include "src/codec/qr.c"
#include "src/codec/exposition.c"
#include "src/codec/json_members.c"
#include "src/codec/http_head.c"
#include "src/codec/http_body.c"
#include "src/codec/http_answer.c"
#include "src/codec/handshake.c"
#include "src/codec/http_semantics.c"
#include "src/codec/http_write.c"
#include "src/codec/answer.c"
#include "src/codec/websocket.c"
#include "src/codec/event_stream.c"
#include "src/codec/messages.c"
#include "src/codec/tick.c"
#include "src/codec/relayed.c"
#include "src/codec/announced.c"
#include "src/codec/traceparent.c"
#include "src/codec/llm_paths.c"
#include "src/codec/llm_facts.c"
#include "src/codec/llm_events.c"
#include "src/codec/llm_scan.c"
#include "src/codec/llm_model.c"
#include "src/codec/llm_prompt.c"
#include "src/guard/heap.c"
#include "src/guard/crypto.c"
#include "src/guard/trust.c"
#include "src/guard/tls.c"
#include "src/guard/grant.c"
#include "src/guard/rights.c"
#include "src/guard/keys.c"
#include "src/guard/pairing.c"
#include "src/guard/jwks.c"
#include "src/guard/jwt.c"
#include "src/guard/jwt_files.c"
#include "src/guard/credentials.c"
#include "src/guard/throttle.c"
#include "src/core/poller.c"
#include "src/core/hub.c"
#include "src/core/key_writer.c"
#include "src/core/inbox.c"
#include "src/core/feed.c"
#include "src/core/formats.c"
#include "src/core/events.c"
#include "src/core/engine.c"
#include "src/core/rate.c"
#include "src/core/measures.c"
#include "src/core/ticks.c"
#include "src/core/posts.c"
#include "src/core/notes.c"
#include "src/core/own_commands.c"
#include "src/core/gauges.c"
#include "src/core/own_requests.c"
#include "src/core/sources.c"
#include "src/core/relay.c"
#include "src/core/nodes.c"
#include "src/core/access.c"
#include "src/core/peers.c"
#include "src/core/tls_pump.c"
#include "src/core/certificate.c"
#include "src/core/clients.c"
#include "src/core/commands.c"
#include "src/core/viewers.c"
#include "src/core/exchanges.c"
#include "src/core/attach.c"
#include "src/core/shares.c"
#include "src/core/pending.c"
#include "src/core/accept.c"
#include "src/meter/baseline.c"
#include "src/meter/totals.c"
#include "src/meter/identity.c"
#include "src/meter/quota.c"
#include "src/meter/usage.c"
#include "src/meter/upstreams.c"
#include "src/meter/resolver.c"
#include "src/meter/dial.c"
#include "src/meter/fetch.c"
#include "src/meter/models.c"
#include "src/meter/requests.c"
#include "src/meter/facts.c"
#include "src/meter/reports.c"
#include "src/meter/refusals.c"
#include "src/meter/answers.c"
#include "src/meter/proxy.c"
#include "src/meter/lists.c"
#include "src/meter/tunnel.c"
#include "src/meter/upload.c"
#include "src/meter/room.c"
#include "src/meter/queue.c"
#include "src/meter/bench.c"
#include "src/meter/discovery.c"
#include "src/meter/scrape.c"
#include "src/meter/outbox.c"
#include "src/meter/meter.c"
#include "src/board/value.c"
#include "src/board/parse.c"
#include "src/board/tree.c"
#include "src/board/sensors.c"
#include "src/board/find.c"
#include "src/board/helpers.c"
#include "src/board/report.c"
#include "src/board/history.c"
#include "src/board/history_file.c"
#include "src/board/history_answer.c"
#include "src/board/marks.c"
#include "src/board/verdict.c"
#include "src/board/energy.c"
#include "src/board/alert_rules.c"
#include "src/board/alerts.c"
#include "src/board/alert_send.c"
#include "src/board/board.c"
#include "src/board/numbers.c"
#include "src/board/metrics.c"
#include "src/board/otlp.c"
#include "src/fleet/link.c"
#include "src/fleet/uplinks.c"
#include "src/fleet/browse.c"
#include "src/fleet/follow.c"
#include "src/fleet/forward.c"
#include "src/fleet/fleet.c"
#include "src/web/seam.h"
#include "src/web/arena.c"
#include "src/web/assets.c"
#include "src/web/workers.c"
#include "src/web/route.c"
#include "src/web/auth_routes.c"
#include "src/web/meter_routes.c"
#include "src/web/extra_routes.c"
#include "src/web/fleet_routes.c"
#include "src/web/metrics_routes.c"
#include "src/web/forward.c"
#include "src/web/own_routes.c"
#include "src/web/share.c"
#include "src/web/routes.c"
#include "src/web/memory.c"
#include "src/web/brand.c"
#include "src/web/status.c"
#include "src/app/config_list.c"
#include "src/app/config_engines.c"
#include "src/app/config_fleet.c"
#include "src/app/config_watch.c"
#include "src/app/config.c"
#include "src/app/calls.c"
#include "src/app/loop.c"
#include "src/app/api.c"
#include "src/app/api_engine.c"
#include "src/app/api_nodes.c"
#include "src/app/api_routes.c"
#include "src/app/options.c"
#include "src/app/option_values.c"
#include "src/app/ports.c"
#include "src/app/engines.c"
#include "src/app/machine.c"
#include "src/app/doctor.c"
#include "src/app/alert.c"
#include "src/app/bench.c"
#include "src/app/keys.c"
#include "src/app/qr.c"
#include "src/app/pair.c"
#include "src/app/top_state.c"
#include "src/app/top_screen.c"
#include "src/app/terminal.c"
#include "src/app/top.c"
#include "src/app/main.c"
#include "src/web/civetweb_api.h"
#include "src/web/pages.c"
#include "src/web/inflate.c"
#include "src/web/glue.c"
