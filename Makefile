# aidash: every build, test and release step. `make help` lists the targets.
#
# Yours to set: CC, CFLAGS, CPPFLAGS, LDFLAGS, PREFIX, DESTDIR, and
#   CIVETWEB=DIR JSMN=DIR ZLIB=DIR QRCODEGEN=DIR MBEDTLS=DIR UPLOT=DIR HIREDIS=DIR   source trees of your own instead of the fetched ones
#   ESBUILD=PROGRAM   an esbuild of your own, which puts the page's modules together; then TERSER=PROGRAM may make them smaller
#   TEXTS=FILE        the page's texts in another language: a translation of www/texts.js
#   TLS=0                             a build without TLS, and so without mbedTLS
#   CIVETWEB_VERSION=1.15|1.16        another civetweb than the distribution's
#   TOOLCHAIN=NAME                    what to build for: toolchains/NAME.mk, into build/NAME/ (make NAME is short for it)
#   NO_INSTALL=1                      install nothing: say which packages are missing, and stop
#   ARGS="--rate 20"                  options for `make run`
#   SUITE=unit,e2e TEST=ingest        only these suites, only the test files whose name contains this
#   FUZZ_SECONDS=60                   how long `make fuzz` stays on each input
#   SECONDS=3600 SEED=2               how long `make fuzz-sockets` and `make soak` run, and with which cases
#   MINUTES=10                        how long `make page-soak` runs
#   VIEWERS=500                       how many `make gateways` has
#   HOST=pi@raspberrypi.local SSH=ssh the board of `make deploy`, and the command that reaches it
#   VERSION=x.y.z TARGETS="aarch64"   what `make release` makes, and for which of toolchains/*.mk (all)

.SUFFIXES:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

ifeq ($(origin CC),default)
CC := gcc
endif
STRIP := strip
AR := ar
TLS ?= 1
PREFIX ?= /usr/local
FUZZ_SECONDS ?= 30

ifdef TOOLCHAIN
ifeq ($(wildcard toolchains/$(TOOLCHAIN).mk),)
$(error no toolchain $(TOOLCHAIN); there are: $(basename $(notdir $(wildcard toolchains/*.mk))))
endif
include toolchains/$(TOOLCHAIN).mk
OUT := build/$(TOOLCHAIN)
else
OUT := build
endif

# ---- flags --------------------------------------------------------------------

# What makes a mistake in memory harder to use: guards on the stack, checked copies, code at random addresses, no table that
# stays writable, no stack that runs, no jump into the middle of a function. What not every compiler knows is asked for.
known = $(if $(filter ok,$(shell echo 'int x;' | $(CC) -O2 -Werror $(1) -c -x c -o /dev/null - 2>/dev/null && echo ok)),$(1))
checked = $(if $(filter ok,$(shell echo '\#include <string.h>' | $(CC) -O2 -Werror -D_FORTIFY_SOURCE=3 -E -x c - >/dev/null 2>&1 && \
    echo ok)),3,2)
AD_HARD_CFLAGS := -fPIE $(call known,-fstack-protector-strong) $(call known,-fcf-protection) \
    $(call known,-mbranch-protection=standard) -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=$(checked)
AD_HARD_LDFLAGS := -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack

# CFLAGS and LDFLAGS are the user's and come last. -Werror is for the tests alone: a newer compiler's new warning must not
# break anybody's build. With the prefix map, the same sources give the same bytes in any directory.
AD_CFLAGS := -std=c11 -O2 -g -ffunction-sections -fdata-sections -fno-asynchronous-unwind-tables \
    -ffile-prefix-map=$(CURDIR)=. $(AD_HARD_CFLAGS) $(TARGET_CFLAGS)
AD_LDFLAGS := $(or $(TARGET_LDFLAGS),-pie) $(AD_HARD_LDFLAGS) -Wl,--gc-sections
AD_LIBS := -lpthread $(TARGET_LIBS)
AD_WARN := -Wall -Wextra -Wconversion -Werror
# -g1 is enough for the lines in a report, and takes a fifth of the time less to compile.
AD_ASAN := -U_FORTIFY_SOURCE -O1 -g1 -fno-omit-frame-pointer -fsanitize=address,undefined,float-cast-overflow \
    -fno-sanitize-recover=undefined,float-cast-overflow
AD_FUZZ := -U_FORTIFY_SOURCE -O1 -g1 -fno-omit-frame-pointer -fsanitize=fuzzer,address,undefined,float-cast-overflow -DAD_UNIT
AD_TSAN := -U_FORTIFY_SOURCE -O1 -g1 -fno-omit-frame-pointer -fsanitize=thread
AD_NO_TLS := -UAIDASH_TLS
# Programs that only tests run: -O1 takes two thirds of the time of -O2 to compile, and -O0, where nothing of it is measured, a fifth.
AD_TRIAL := -O1 -g1
AD_QUICK := -U_FORTIFY_SOURCE -O0 -g1
AD_POLL := $(AD_TRIAL) -DAIDASH_USE_POLL=1
AD_TINY := $(AD_TRIAL) $(AD_NO_TLS) -DAIDASH_CONFIG='"examples/sizes/tiny.h"'
AD_TINY_METER := $(AD_TRIAL) $(AD_NO_TLS) -DAIDASH_CONFIG='"examples/sizes/tiny.h"' -DAIDASH_METER=1
AD_BARE := $(AD_TRIAL) $(AD_NO_TLS) -DAIDASH_METER=0 -DAIDASH_DASHBOARD=0
AD_ONE_WORKER := $(AD_QUICK) -DAIDASH_WORKERS=1
AD_HASTY := $(AD_QUICK) -DAD_HASTE=10 -DAD_HISTORY_HASTE=500
AD_STRICT := $(AD_QUICK) -DAIDASH_CONNECT_BURST=8 -DAIDASH_CONNECT_RATE=1 -DAIDASH_COMMAND_RATE=1
AD_FEW_TLS := $(AD_QUICK) -DAIDASH_TLS_SESSIONS=4
AD_GATEWAY := -DAIDASH_CONFIG='"examples/sizes/gateway.h"'

# ---- dependencies ---------------------------------------------------------------

FETCH := sh toolchains/fetch.sh
CIVETWEB_DIR := $(or $(CIVETWEB),build/deps/civetweb$(addprefix -,$(CIVETWEB_VERSION)))
JSMN_DIR := $(or $(JSMN),build/deps/jsmn)
ZLIB_DIR := $(or $(ZLIB),build/deps/zlib)
QRCODEGEN_DIR := $(or $(QRCODEGEN),build/deps/qr-code-generator)/c
MBEDTLS_DIR := $(or $(MBEDTLS),build/deps/mbedtls)
HIREDIS_DIR := $(or $(HIREDIS),build/deps/hiredis)
UPLOT_DIR := $(or $(UPLOT),build/deps/uplot)
ESBUILD_PROGRAM := $(or $(ESBUILD),build/deps/esbuild)
ZOPFLI_PROGRAM := $(if $(ESBUILD),,node toolchains/zopfli.mjs build/deps/terser/node_modules/@gfx/zopfli)
TERSER_PROGRAM := $(or $(TERSER),$(if $(ESBUILD),,node build/deps/terser/node_modules/terser/bin/terser))

# Programs that the build runs; asked for once a compiler.
HAVE_TOOLS := build/deps/.tools-$(notdir $(firstword $(CC)))
$(HAVE_TOOLS): toolchains/fetch.sh
	@mkdir -p $(@D)
	@CC="$(CC)" $(FETCH) need $(firstword $(CC)) $(if $(TOOLCHAIN),,libc-headers) $(STRIP) gzip xz od sha256sum \
	    $(if $(and $(UPLOT),$(ESBUILD)),,node npm ca-certificates)
	@touch $@

build/deps/civetweb/src/civetweb.c: | $(HAVE_TOOLS)
	@$(FETCH) sources build/deps civetweb $(if $(JSMN),,jsmn)

build/deps/civetweb-%/src/civetweb.c: | $(HAVE_TOOLS)
	@$(FETCH) sources build/deps civetweb=$*

# civetweb's rule brings both, as they lie in the same index.
build/deps/jsmn/jsmn.h: | $(CIVETWEB_DIR)/src/civetweb.c
	@test -f $@ || $(FETCH) sources build/deps jsmn

build/deps/zlib/infback.c: | $(HAVE_TOOLS)
	@$(FETCH) sources build/deps zlib

build/deps/qr-code-generator/c/qrcodegen.c: | $(HAVE_TOOLS)
	@$(FETCH) sources build/deps qr-code-generator

build/deps/mbedtls/library/ssl_tls.c: | $(HAVE_TOOLS)
	@$(FETCH) need bzip2 && $(FETCH) sources build/deps mbedtls

build/deps/uplot/dist/uPlot.esm.js: www/package-lock.json | $(HAVE_TOOLS)
	@cmp -s $< build/deps/uplot/package-lock.json || { $(FETCH) page build/deps www && cp $< build/deps/uplot/; }
	@touch -c $@

# uPlot's rule brings both, and terser and zopfli.
build/deps/esbuild: www/package-lock.json | $(UPLOT_DIR)/dist/uPlot.esm.js
	@test -x $@ || $(FETCH) page build/deps www
	@touch -c $@

# zlib's inflateBack() in one file: its headers have no include guards.
ZLIB_PARTS := $(addprefix $(ZLIB_DIR)/,infback.c inftrees.h inflate.h inffast.h inffast.c inftrees.c)
$(filter-out %/infback.c,$(ZLIB_PARTS)): $(ZLIB_DIR)/infback.c ;
build/zlib/zlib_inflate.c: $(ZLIB_PARTS)
	@mkdir -p $(@D)
	@{ for f in $(filter %.h,$(ZLIB_PARTS)) $(filter %.c,$(ZLIB_PARTS)); do sed '/^#include "/d' $$f || exit; done; } > $@

ifdef CIVETWEB
$(CIVETWEB)/src/civetweb.c:
	@echo "aidash: CIVETWEB=$(CIVETWEB) has no src/civetweb.c" >&2; exit 1
endif
ifdef JSMN
$(JSMN)/jsmn.h:
	@echo "aidash: JSMN=$(JSMN) has no jsmn.h" >&2; exit 1
endif
ifdef ZLIB
$(ZLIB)/infback.c:
	@echo "aidash: ZLIB=$(ZLIB) has no infback.c" >&2; exit 1
endif
ifdef QRCODEGEN
$(QRCODEGEN)/c/qrcodegen.c:
	@echo "aidash: QRCODEGEN=$(QRCODEGEN) has no c/qrcodegen.c" >&2; exit 1
endif
ifdef MBEDTLS
$(MBEDTLS)/library/ssl_tls.c:
	@echo "aidash: MBEDTLS=$(MBEDTLS) has no library/ssl_tls.c" >&2; exit 1
endif
ifdef UPLOT
$(UPLOT)/dist/uPlot.esm.js:
	@echo "aidash: UPLOT=$(UPLOT) has no dist/$(@F)" >&2; exit 1
endif

# ---- the dashboard ----------------------------------------------------------------

# The page's files as they are embedded. TEXTS may be a translation of www/texts.js.
TEXTS ?= www/texts.js
BUNDLE := app.js uplot.js theme.js aidash-client.js style.css index.html manifest.webmanifest measure.html
MODULES := $(wildcard www/*.js)
$(addprefix build/www/,$(BUNDLE)) &: www/bundle.sh www/fill.sh www/measure.sh docs/measure.md $(MODULES) $(TEXTS) $(addprefix www/,style.css index.html manifest.webmanifest) \
    $(UPLOT_DIR)/dist/uPlot.esm.js build/www.files $(ESBUILD_PROGRAM)
	@ESBUILD=$(ESBUILD_PROGRAM) TERSER='$(TERSER_PROGRAM)' UPLOT=$(UPLOT_DIR) sh www/bundle.sh build/www $(TEXTS)

# The icon for systems that take no SVG.
ICONS := $(addprefix build/icons/,icon-192.png icon-512.png icon-maskable.png icon-touch.png)
$(ICONS) &: www/icons.sh www/icon.svg
	@rm -rf build/icons && sh www/icons.sh www/icon.svg build/icons

WWW := $(addprefix build/www/,$(BUNDLE)) $(ICONS) $(wildcard $(addprefix www/,*.svg contract.schema.json))

build/aidash_www.h: www/embed.sh toolchains/zopfli.mjs build/www.files $(WWW)
	@ZOPFLI='$(ZOPFLI_PROGRAM)' sh www/embed.sh $@ $(WWW)

# Names that look like a limit's: src/limits.h includes it.
build/aidash_misspelt.h: toolchains/misspelt.sh src/limits.h aidash.h
	@mkdir -p $(@D)
	@sh toolchains/misspelt.sh > $@

# An editor finds these through www/tsconfig.json: with them it knows every type of the page's modules.
build/types/contract.d.ts: www/contract.schema.json tests/web/contract-types.mjs
	@mkdir -p $(@D)
	@node tests/web/contract-types.mjs $< > $@

build/types/uplot.d.ts: $(UPLOT_DIR)/dist/uPlot.esm.js
	@mkdir -p $(@D)
	@cp $(UPLOT_DIR)/dist/uPlot.d.ts $@

types: build/types/contract.d.ts build/types/uplot.d.ts ## TypeScript declarations, for editors of the page's modules

# ---- the compile --------------------------------------------------------------------

# $(call note,FILE,TEXT): a file that holds the text, renewed (and with it what depends on it) only when the text changes.
define note
$(1): FORCE
	@mkdir -p $$(@D)
	@printf '%s\n' '$(subst ','\'',$(2))' | cmp -s - $$@ || printf '%s\n' '$(subst ','\'',$(2))' > $$@
endef

$(eval $(call note,build/www.files,$(MODULES) $(WWW) $(TEXTS)))

# mbedTLS: only the files that toolchains/include/mbedtls/mbedtls_config.h asks for, built once for each set of flags.
ifeq ($(TLS),1)
MBEDTLS_PARTS := aes aesce aesni asn1parse asn1write base64 bignum bignum_core block_cipher chacha20 chachapoly cipher \
    cipher_wrap constant_time ecdh ecdsa ecp ecp_curves gcm hkdf md oid pem pk pk_ecc pk_wrap pkparse platform platform_util \
    poly1305 psa_crypto psa_crypto_aead psa_crypto_cipher psa_crypto_client psa_crypto_driver_wrappers_no_static \
    psa_crypto_ecp psa_crypto_hash psa_crypto_mac psa_crypto_random psa_crypto_rsa psa_crypto_slot_management psa_util rsa \
    rsa_alt_helpers sha256 sha512 ssl_ciphersuites ssl_client ssl_msg ssl_ticket ssl_tls ssl_tls12_client ssl_tls12_server \
    ssl_tls13_client ssl_tls13_generic ssl_tls13_keys ssl_tls13_server x509 x509_crt
MBEDTLS_FIRST := $(MBEDTLS_DIR)/library/ssl_tls.c
AD_TLS := -DAIDASH_TLS=1 -isystem toolchains/include -isystem $(MBEDTLS_DIR)/include
AD_MBEDTLS := -w -isystem toolchains/include -isystem $(MBEDTLS_DIR)/include
$(filter-out $(MBEDTLS_FIRST),$(MBEDTLS_PARTS:%=$(MBEDTLS_DIR)/library/%.c)): $(MBEDTLS_FIRST) ;

# $(call mbedtls,DIR,FLAGS): DIR/libmbedtls.a
define mbedtls
$(call note,$(1)/flags,$(CC) $(AR) $(AD_CFLAGS) $(2) $(CPPFLAGS) $(CFLAGS) $(MBEDTLS_DIR))
$(MBEDTLS_PARTS:%=$(1)/%.o): $(1)/%.o: $(MBEDTLS_DIR)/library/%.c $(1)/flags toolchains/include/mbedtls/mbedtls_config.h \
    $(TARGET_NEEDS)
	@$$(CC) $(AD_CFLAGS) $(2) $(CPPFLAGS) $(CFLAGS) $(AD_MBEDTLS) -c -o $$@ $$<
$(1)/libmbedtls.a: $(MBEDTLS_PARTS:%=$(1)/%.o)
	@echo "  AR    $$@"
	@rm -f $$@ && $(AR) rcsD $$@ $$^
endef
$(eval $(call mbedtls,$(OUT)/mbedtls))
ifndef TOOLCHAIN
$(eval $(call mbedtls,build/asan/mbedtls,$(AD_ASAN)))
$(eval $(call mbedtls,build/tsan/mbedtls,$(AD_TSAN)))
$(eval $(call mbedtls,build/fuzz/mbedtls,$(subst -fsanitize=fuzzer,-fsanitize=fuzzer-no-link,$(AD_FUZZ))))
build/fuzz/mbedtls/libmbedtls.a $(MBEDTLS_PARTS:%=build/fuzz/mbedtls/%.o): private CC := clang
endif
# $(call mbedtls_for,FLAGS): the library for a program compiled with these.
mbedtls_for = $(if $(findstring sanitize=fuzzer,$(1)),build/fuzz,$(if $(findstring sanitize=address,$(1)),build/asan,$(if \
    $(findstring sanitize=thread,$(1)),build/tsan,$(OUT))))/mbedtls/libmbedtls.a
else
MBEDTLS_FIRST :=
AD_TLS :=
mbedtls_for =
endif

# aidash.c includes its parts.
PARTS := $(wildcard src/*.h src/*/*.[ch])

# One compile is the whole program. civetweb, jsmn, zlib and qrcodegen are system headers to it, so that warnings are about our code.
# $(call compile,CIVETWEB_DIR,FLAGS,SOURCES) and $(call link,FLAGS)
compile = $(CC) $(AD_CFLAGS) $(AD_TLS) $(2) $(CPPFLAGS) $(CFLAGS) -Ibuild -isystem $(1)/include -isystem $(1)/src \
    $(addprefix -isystem ,$(JSMN_DIR) $(ZLIB_DIR) build/zlib $(QRCODEGEN_DIR)) -MMD -MP -MF $@.d -MT $@ -o $@ $(3)
link = $(call mbedtls_for,$(1)) $(AD_LDFLAGS) $(LDFLAGS) $(AD_LIBS)

# For tests that compile one thing or another.
$(eval $(call note,build/compile,$(CC) $(AD_CFLAGS) $(AD_TLS) $(CPPFLAGS) $(CFLAGS) -Ibuild -isystem $(CIVETWEB_DIR)/include \
    -isystem $(CIVETWEB_DIR)/src $(addprefix -isystem ,$(JSMN_DIR) $(ZLIB_DIR) build/zlib $(QRCODEGEN_DIR))))

# $(call needs,FILE,CIVETWEB_DIR,FLAGS): what each compile of aidash.c waits for, its flags among them.
define needs
$(call note,$(1).flags,$(CC) $(AD_CFLAGS) $(AD_TLS) $(3) $(CPPFLAGS) $(CFLAGS) $(2) $(JSMN_DIR) $(ZLIB_DIR) $(QRCODEGEN_DIR) $(call link,$(3)))
$(1): $(1).flags aidash.c aidash.h $(PARTS) build/aidash_www.h build/aidash_misspelt.h $(2)/src/civetweb.c $(JSMN_DIR)/jsmn.h \
    build/zlib/zlib_inflate.c $(QRCODEGEN_DIR)/qrcodegen.c $(MBEDTLS_FIRST) $(TARGET_NEEDS)
-include $(1).d
endef

# $(call program,FILE,CIVETWEB_DIR,NAME_OF_FLAGS)
define program
$(call needs,$(1),$(2),$($(3)))
$(1): $(call mbedtls_for,$($(3)))
	@echo "  CC    $$@"
	@$$(call compile,$(2),$$($(3)),aidash.c) $$(call link,$$($(3)))
endef

$(eval $(call program,$(OUT)/aidash.debug,$(CIVETWEB_DIR)))
$(eval $(call program,build/asan/aidash,$(CIVETWEB_DIR),AD_ASAN))
$(eval $(call program,build/tsan/aidash,$(CIVETWEB_DIR),AD_TSAN))
$(eval $(call program,build/poll/aidash,$(CIVETWEB_DIR),AD_POLL))
$(eval $(call program,build/tiny/aidash,$(CIVETWEB_DIR),AD_TINY))
$(eval $(call program,build/tiny-meter/aidash,$(CIVETWEB_DIR),AD_TINY_METER))
$(eval $(call program,build/bare/aidash,$(CIVETWEB_DIR),AD_BARE))
$(eval $(call program,build/hasty/aidash,$(CIVETWEB_DIR),AD_HASTY))
$(eval $(call program,build/strict/aidash,$(CIVETWEB_DIR),AD_STRICT))
$(eval $(call program,build/few-tls/aidash,$(CIVETWEB_DIR),AD_FEW_TLS))
$(eval $(call program,build/gateway/aidash,$(CIVETWEB_DIR),AD_GATEWAY))
$(eval $(call program,build/one-worker/aidash,$(CIVETWEB_DIR),AD_ONE_WORKER))
$(eval $(call program,build/civetweb-1.15/aidash,build/deps/civetweb-1.15,AD_QUICK))
$(eval $(call program,build/civetweb-1.16/aidash,build/deps/civetweb-1.16,AD_QUICK))

# What is shipped has no symbols; a debugger finds them in aidash.debug beside it, which is the same program.
$(OUT)/aidash: $(OUT)/aidash.debug
	@$(STRIP) -o $@ $<
	@echo "  $@: $$(($$(wc -c < $@) / 1000)) kB stripped"

all: $(OUT)/aidash ## build/aidash, and its stripped size (the default)
	@:

# Each toolchains/NAME.mk is a target of that name.
TARGETS := $(basename $(notdir $(wildcard toolchains/*.mk)))
$(TARGETS):
	@$(MAKE) --no-print-directory TOOLCHAIN=$@ all

dist: ## a static program for each of toolchains/*.mk: build/aarch64/aidash, build/armv7/aidash ...
	@for target in $(TARGETS); do $(MAKE) --no-print-directory TOOLCHAIN=$$target all || exit; done

run: all ## build it and start it on port 8080 with the simulated engine; ARGS="--rate 20" adds options
	@exec $(TARGET_RUN) $(OUT)/aidash $(ARGS)

# ---- bridges to message brokers ---------------------------------------------------------

# aidash's parts are as they are in the program: each has its whole command line, and TLS.
BRIDGES := $(addprefix build/bridges/aidash-,redis kafka mqtt)
BRIDGE_FLAGS = -std=c11 -O2 -g -Wall -Wextra -Wconversion -Wno-format-truncation -I. -isystem $(JSMN_DIR) $(CPPFLAGS) $(CFLAGS)
BRIDGE_SHARED := $(addprefix examples/bridges/,bridge.c commands.c options.c)

# What each needs beside libc: packages, and what it is compiled and linked with. hiredis is one version on all systems, as Debian 12's
# package has no TLS.
HIREDIS_PARTS := $(addprefix $(HIREDIS_DIR)/,hiredis.c alloc.c async.c net.c read.c sds.c sockcompat.c ssl.c)
build/deps/hiredis/hiredis.c: | $(HAVE_TOOLS)
	@$(FETCH) sources build/deps hiredis
ifdef HIREDIS
$(HIREDIS)/hiredis.c:
	@echo "aidash: HIREDIS=$(HIREDIS) has no hiredis.c" >&2; exit 1
endif
$(filter-out %/hiredis.c,$(HIREDIS_PARTS)): $(HIREDIS_DIR)/hiredis.c ;

build/deps/.tools-bridge-redis: toolchains/fetch.sh | $(HAVE_TOOLS)
	@CC="$(CC)" $(FETCH) need libssl-dev
	@touch $@
LIBS_redis = -isystem $(HIREDIS_DIR) examples/bridges/redis_link.c $(@D)/libhiredis.a -lssl -lcrypto

build/deps/.tools-bridge-kafka: toolchains/fetch.sh | $(HAVE_TOOLS)
	@CC="$(CC)" $(FETCH) need librdkafka-dev
	@touch $@
LIBS_kafka := -lrdkafka

build/deps/.tools-bridge-mqtt: toolchains/fetch.sh | $(HAVE_TOOLS)
	@CC="$(CC)" $(FETCH) need libmosquitto-dev
	@touch $@
LIBS_mqtt := examples/bridges/mqtt_kept.c examples/bridges/homeassistant.c -lmosquitto

# $(call bridge,DIRECTORY,NAME_OF_FLAGS)
define bridge
$(call needs,$(1)/aidash.o,$(CIVETWEB_DIR),$($(2)))
$(1)/aidash.o:
	@echo "  CC    $$@"
	@mkdir -p $$(@D)
	@$$(call compile,$(CIVETWEB_DIR),$$($(2)),-c aidash.c)
$(1)/libhiredis.a: $(HIREDIS_PARTS) build/deps/.tools-bridge-redis
	@echo "  AR    $$@"
	@rm -rf $(1)/hiredis && mkdir -p $(1)/hiredis
	@cd $(1)/hiredis && $$(CC) $$(AD_CFLAGS) $$($(2)) $$(CPPFLAGS) $$(CFLAGS) -w -D_GNU_SOURCE -c $(abspath $(HIREDIS_PARTS))
	@rm -f $$@ && $$(AR) rcsD $$@ $(1)/hiredis/*.o
$(1)/aidash-redis: $(1)/libhiredis.a examples/bridges/redis_link.c examples/bridges/redis_link.h
$(1)/aidash-mqtt: $(addprefix examples/bridges/,mqtt.h mqtt_kept.c homeassistant.c homeassistant.h)
$(1)/aidash-%: examples/bridges/%.c $(BRIDGE_SHARED) examples/bridges/bridge.h aidash.h $(1)/aidash.o build/deps/.tools-bridge-% $(call mbedtls_for,$($(2)))
	@echo "  CC    $$@"
	@$$(CC) $$(BRIDGE_FLAGS) -pie -fPIE $$($(2)) -o $$@ $$< $(BRIDGE_SHARED) $(1)/aidash.o $$(call link,$$($(2))) $$(LIBS_$$*)
endef
$(eval $(call bridge,build/bridges))
$(eval $(call bridge,build/asan/bridges,AD_ASAN))
$(eval $(call bridge,build/tsan/bridges,AD_TSAN))
.SECONDARY: $(patsubst build/bridges/aidash-%,build/deps/.tools-bridge-%,$(BRIDGES))

# For tests: a Kafka cluster, as librdkafka mocks it.
build/bridges/kafka_mock: tests/bridges/kafka_mock.c build/deps/.tools-bridge-kafka
	@mkdir -p $(@D)
	@$(CC) -std=c11 -O2 $(AD_WARN) $(CPPFLAGS) $(CFLAGS) -o $@ $< $(LDFLAGS) -lrdkafka

# What the service of aidash itself may not, theirs may not either.
build/bridges/aidash-%.service: package/aidash.service
	@mkdir -p $(@D)
	@sed -e 's|^Description=.*|Description=aidash-$*: aidash with its boards and gateways on a message broker|' \
	    -e 's|man:aidash(1)|man:aidash-$*(1)|' -e 's|/aidash --config /etc/aidash.conf|/aidash-$* --config /etc/aidash-$*.conf|' \
	    -e 's|systemctl edit aidash|&-$*|' -e 's|^StateDirectory=aidash|&-$*|' $< > $@

build/bridges/aidash-%.1: examples/bridges/aidash-%.1
	@mkdir -p $(@D)
	@cp $< $@

bridges: $(BRIDGES) $(BRIDGES:=.service) $(patsubst examples/%,build/%,$(wildcard examples/bridges/*.1)) ## programs that connect aidash to message brokers: build/bridges/aidash-redis, -kafka, -mqtt
	@:

# ---- tests --------------------------------------------------------------------------

# What a suite is and how it runs: tests/run.mjs. A new tests/unit_NAME.c, tests/fuzz_NAME.c, tests/e2e/NAME.test.mjs or
# tests/browser/NAME.test.mjs is found by its name.
UNIT := $(patsubst tests/unit_%.c,build/unit/%,$(wildcard tests/unit_*.c))
FUZZ := $(patsubst tests/fuzz_%.c,build/fuzz/%,$(filter-out %/fuzz_replay.c,$(wildcard tests/fuzz_*.c)))
FUZZ_THESE := $(foreach f,$(FUZZ),$(if $(TEST),$(if $(findstring $(TEST),$(notdir $(f))),$(f)),$(f)))
REPLAY := $(patsubst build/fuzz/%,build/replay/%,$(FUZZ))
# A unit test or a fuzzer includes the parts that it tests.
AD_TEST := -DAD_UNIT -Wno-unused-function -Wno-unused-variable $(AD_WARN)

$(foreach f,$(UNIT) $(REPLAY),$(eval $(call needs,$(f),$(CIVETWEB_DIR),$(AD_ASAN) $(AD_TEST))))
$(UNIT) $(REPLAY): $(call mbedtls_for,$(AD_ASAN))
$(UNIT): build/unit/%: tests/unit_%.c
	@echo "  CC    $@"
	@$(call compile,$(CIVETWEB_DIR),$(AD_ASAN) $(AD_TEST),$<) $(call link,$(AD_ASAN))

$(REPLAY): build/replay/%: tests/fuzz_%.c tests/fuzz_replay.c
	@echo "  CC    $@"
	@$(call compile,$(CIVETWEB_DIR),$(AD_ASAN) $(AD_TEST),$< tests/fuzz_replay.c) $(call link,$(AD_ASAN))

$(foreach f,$(FUZZ),$(eval $(call needs,$(f),$(CIVETWEB_DIR),$(AD_FUZZ))))
$(FUZZ): $(call mbedtls_for,$(AD_FUZZ))
$(FUZZ): build/fuzz/%: tests/fuzz_%.c | build/deps/.tools-fuzz
	@echo "  CC    $@"
	@$(call compile,$(CIVETWEB_DIR),$(AD_FUZZ),$<) $(call link,$(AD_FUZZ))
$(FUZZ): private CC := clang

# The object that an embedder links.
$(eval $(call needs,build/lib/aidash.o,$(CIVETWEB_DIR),$(AD_WARN) $(AD_NO_TLS) -DAIDASH_NO_MAIN))
build/lib/aidash.o:
	@$(call compile,$(CIVETWEB_DIR),$(AD_WARN) $(AD_NO_TLS) -DAIDASH_NO_MAIN,-c aidash.c)

# The same for the thread sanitizer.
$(eval $(call needs,build/tsan/lib/aidash.o,$(CIVETWEB_DIR),$(AD_TSAN) $(AD_NO_TLS) -DAIDASH_NO_MAIN))
build/tsan/lib/aidash.o:
	@$(call compile,$(CIVETWEB_DIR),$(AD_TSAN) $(AD_NO_TLS) -DAIDASH_NO_MAIN,-c aidash.c)

# And for those of addresses and undefined behaviour.
$(eval $(call needs,build/asan/lib/aidash.o,$(CIVETWEB_DIR),$(AD_ASAN) $(AD_NO_TLS) -DAIDASH_NO_MAIN))
build/asan/lib/aidash.o:
	@$(call compile,$(CIVETWEB_DIR),$(AD_ASAN) $(AD_NO_TLS) -DAIDASH_NO_MAIN,-c aidash.c)

# A firmware that calls everything: in C++ with the one object, in C with the other.
build/asan/embed/every: tests/embed/every.c aidash.h build/asan/lib/aidash.o
	@mkdir -p $(@D)
	@$(or $(CXX),g++) -std=c++98 -pedantic -Wno-long-long -Wall -Wextra -Werror $(AD_ASAN) -I. -o $@ -x c++ $< -x none $(lastword $^) $(LDFLAGS) $(AD_LIBS)

build/tsan/embed/every: tests/embed/every.c aidash.h build/tsan/lib/aidash.o
	@mkdir -p $(@D)
	@$(CC) -std=gnu99 $(AD_WARN) $(AD_TSAN) -I. -o $@ $< $(lastword $^) $(LDFLAGS) $(AD_LIBS)

build/alloc_count: tests/alloc_count.c build/lib/aidash.o
	@$(CC) -std=c11 -O2 -g $(AD_WARN) $(CPPFLAGS) $(CFLAGS) -o $@ $^ $(LDFLAGS) $(AD_LIBS)

build/bench/load build/bench/boards: build/bench/%: tests/bench/%.c
	@mkdir -p $(@D)
	@$(CC) -std=c11 -O2 $(CPPFLAGS) $(CFLAGS) -o $@ $< $(LDFLAGS)

build/deps/.tools-test: toolchains/fetch.sh | $(HAVE_TOOLS)
	@$(FETCH) need g++ nm node npm openssl ca-certificates setarch
	@touch $@

build/deps/.tools-fuzz: toolchains/fetch.sh | $(HAVE_TOOLS)
	@$(FETCH) need clang && $(FETCH) need libfuzzer
	@touch $@

tests/node_modules/.installed: tests/package-lock.json | build/deps/.tools-test
	@cmp -s $< $@ || { $(FETCH) modules tests && cp $< $@; }
	@touch $@

HAVE_TEST := all tests/node_modules/.installed build/deps/.tools-test
RUN_TESTS := MAKE="$(MAKE)" CC="$(CC)" TEST="$(TEST)" node tests/run.mjs

test: $(HAVE_TEST) ## run every test; the last line is "N passed, N failed"
	@$(RUN_TESTS) $(SUITE)

# What the build needs is enough; `make test` brings what lint.sh else leaves out.
lint: build/compile build/aidash_www.h build/aidash_misspelt.h ## warnings, exported symbols, allocators, the map, the header from C99 and C++98
	@MAKE="$(MAKE)" CC="$(CC)" sh tests/lint.sh

asan: $(HAVE_TEST) ## unit tests, corpus and end-to-end tests under the address and undefined-behaviour sanitizers
	@$(RUN_TESTS) unit corpus e2e-asan

tsan: $(HAVE_TEST) ## end-to-end tests under the thread sanitizer
	@$(RUN_TESTS) e2e-tsan

fuzz: $(FUZZ_THESE) ## fuzz each input for FUZZ_SECONDS with clang's libFuzzer; finds go to build/fuzz/
	@for f in $(FUZZ_THESE); do \
	    name=$${f##*/}; log=build/fuzz/$$name.log; mkdir -p build/fuzz/new-$$name; \
	    $$f -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
	        -artifact_prefix=build/fuzz/$$name- build/fuzz/new-$$name tests/corpus/$$name > $$log 2>&1 || \
	        { tail -n 40 $$log; exit 1; }; \
	    echo "  FUZZ  $$name: $$(sed -n 's/^stat::number_of_executed_units: *//p' $$log) inputs, none failed"; \
	done

fuzz-sockets: $(HAVE_TEST) ## send mutated bytes to the sanitizer build for SECONDS, from SEED; part of `make test`, for 20 s
	@FUZZ_SOCKETS_SECONDS="$(SECONDS)" FUZZ_SOCKETS_SEED="$(SEED)" $(RUN_TESTS) fuzz-sockets

soak: $(HAVE_TEST) build/asan/aidash ## all that goes wrong, for SECONDS (600), chosen by SEED, on two builds; part of `make test`, for 60 s
	@SOAK_SECONDS="$(or $(SECONDS),600)" SOAK_SEED="$(SEED)" $(RUN_TESTS) soak

page-soak: $(HAVE_TEST) ## the page for MINUTES (10) with 30 streams and 1,000 ticks/s: CPU, heap, nodes, listeners, events; docs/measure.md
	@MINUTES=$(or $(MINUTES),10) node tests/bench/page.mjs

kills: $(HAVE_TEST) ## kill -9 a server that keeps its history in a file, KILLS times (200), at random moments; `make test` does 10
	@AIDASH_KILLS=$(or $(KILLS),200) MAKE="$(MAKE)" CC="$(CC)" TEST=history node tests/run.mjs e2e

gateways: $(HAVE_TEST) ## kill one of two gateways behind nginx under VIEWERS (500) viewers; `make test` has 100
	@AIDASH_VIEWERS=$(or $(VIEWERS),500) MAKE="$(MAKE)" CC="$(CC)" TEST=gateways node tests/run.mjs e2e

bench: all build/gateway/aidash build/tiny/aidash build/lib/aidash.o tests/node_modules/.installed ## measure against a raw send() loop; PART=gateway is one part
	@CC="$(CC)" AIDASH=$(OUT)/aidash AIDASH_GATEWAY=build/gateway/aidash AIDASH_LIB=build/lib/aidash.o \
	    node tests/bench/run.mjs $(PART)

# PART=viewers is one case of gateway-bench: VIEWERS (2000) of BOARDS (50) on GATEWAYS (2), for SECONDS (60).
ifeq ($(PART),viewers)
fleet-bench: gateway-bench
gateway-bench: export VIEWERS := $(or $(VIEWERS),2000)
else
fleet-bench: bridges tests/node_modules/.installed
	@EVENTS="$(EVENTS)" node tests/bench/fleet.mjs
	@FLEET_AWAY_MS=20000 node --test --test-reporter=./tests/reporter.mjs tests/bridges/redis-away.native.test.mjs
endif
fleet-bench: ## measure board, Redis, gateway, viewer: EVENTS (1000000), and Redis stopped for 20 s; PART=viewers: 2,000 of them

fleet-cut: all bridges tests/node_modules/.installed ## cut the network between boards, gateways and Redis (namespaces, as root), for 25 s and for 45 s
	@for ms in 25000 45000; do for test in e2e/cut bridges/redis-cut; do \
	    FLEET_CUT_MS=$$ms node --test --test-reporter=./tests/reporter.mjs tests/$$test.native.test.mjs || exit 1; done; done

gateway-bench: build/gateway/aidash build/bench/load build/bench/boards ## measure gateways: events in, events to viewers, CPU and memory of each; docs/scale.md
	@AIDASH_GATEWAY=build/gateway/aidash node tests/bench/gateways.mjs

# ---- one file -------------------------------------------------------------------------------

INCLUDED := build $(CIVETWEB_DIR)/include $(CIVETWEB_DIR)/src $(JSMN_DIR) $(ZLIB_DIR) build/zlib $(QRCODEGEN_DIR)
$(eval $(call note,build/dist.included,$(INCLUDED)))

build/dist/aidash.c: toolchains/amalgamate.sh aidash.c aidash.h $(PARTS) build/aidash_www.h build/aidash_misspelt.h \
    $(CIVETWEB_DIR)/src/civetweb.c $(JSMN_DIR)/jsmn.h build/zlib/zlib_inflate.c $(QRCODEGEN_DIR)/qrcodegen.c LICENSE THIRD-PARTY.md build/dist.included
	@mkdir -p $(@D)
	@sh toolchains/amalgamate.sh $(CC) -std=c11 $(addprefix -I,$(INCLUDED)) > $@

build/dist/aidash.h: aidash.h
	@mkdir -p $(@D)
	@cp $< $@

# The whole program from the one file, with what an embedder types.
build/onefile/aidash: build/dist/aidash.c
	@mkdir -p $(@D)
	@$(CC) -O2 -Wall -Wextra -Werror $(CPPFLAGS) $(CFLAGS) -o $@ $< $(LDFLAGS) $(AD_LIBS)

# examples/firmware with nothing but the two files: a copy of the project, built by its own Makefile or by CMake. What names
# a toolchain's parts by build/... finds them from there.
ONE_FILE := build/dist/aidash.c build/dist/aidash.h
FIRMWARE := $(filter-out %/components,$(wildcard examples/firmware/*))
AD_EMBED := $(TARGET_CFLAGS) -O2 -Wall -Wextra -Werror
$(OUT)/firmware/firmware: $(FIRMWARE) $(ONE_FILE) $(TARGET_NEEDS)
	@rm -rf $(@D) && mkdir -p $(@D) && cp $(FIRMWARE) $(@D) && ln -s $(CURDIR)/build $(@D)/build
	@$(MAKE) --no-print-directory -C $(@D) AIDASH=build/dist CC="$(CC)" CFLAGS="$(AD_EMBED)" LDFLAGS="$(TARGET_LDFLAGS)"

$(OUT)/embed/every: tests/embed/every.c $(ONE_FILE) $(TARGET_NEEDS)
	@mkdir -p $(@D)
	@$(CC) $(AD_EMBED) -DAIDASH_NO_MAIN -DAIDASH_PROFILE_TINY -Ibuild/dist -o $@ $(filter %.c,$^) $(TARGET_LDFLAGS) $(AD_LIBS)

build/firmware-cmake/firmware: $(FIRMWARE) $(ONE_FILE)
	@rm -rf $(@D)
	@cmake -S examples/firmware -B $(@D) -DAIDASH=$(CURDIR)/build/dist -DCMAKE_BUILD_TYPE=Release -DCMAKE_C_COMPILER=$(CC) \
	    -DCMAKE_C_FLAGS="$(AD_EMBED)"
	@cmake --build $(@D)

build/firmware-components/firmware: $(FIRMWARE) $(ONE_FILE) examples/firmware/components/aidash/CMakeLists.txt tests/embed/components/CMakeLists.txt
	@rm -rf $(@D)
	@cmake -S tests/embed/components -B $(@D) -DFIRMWARE=$(CURDIR)/examples/firmware -DAIDASH=$(CURDIR)/build/dist -DCMAKE_C_COMPILER=$(CC) \
	    -DCMAKE_C_FLAGS="$(AD_EMBED) -O0"
	@cmake --build $(@D)

build/firmware-meson/firmware: $(FIRMWARE) $(ONE_FILE)
	@echo "  MESON build/firmware-meson"
	@rm -rf $(@D) && CC='$(CC)' meson setup $(@D) examples/firmware -Daidash=$(CURDIR)/build/dist >/dev/null
	@meson compile -C $(@D) >/dev/null

ifndef TOOLCHAIN
build/aarch64/firmware/firmware build/aarch64/embed/every: FORCE
	@$(MAKE) --no-print-directory TOOLCHAIN=aarch64 $@
endif

# What a compile needs and what runs its result, and nothing compiled.
toolchain: $(HAVE_TOOLS) $(TARGET_NEEDS)
	@$(if $(TARGET_RUN),$(FETCH) need $(firstword $(TARGET_RUN)))

# For tests: a program that is the target's one, on a machine of any kind.
ifdef TOOLCHAIN
$(OUT)/run: $(OUT)/aidash | toolchain
	@printf '#!/bin/sh\nexec %s "$$@"\n' '$(strip $(TARGET_RUN) $(abspath $<))' > $@ && chmod +x $@
else
$(TARGETS:%=build/%/run): build/%/run: %
	@$(MAKE) --no-print-directory TOOLCHAIN=$* $@
endif

amalgamation: build/dist/aidash.c build/dist/aidash.h ## build/dist/aidash.c and .h: aidash and all its parts in one file
	@echo "  build/dist/aidash.c: $$(wc -l < $<) lines, with aidash.h all that a program needs"

# ---- looking and installing -------------------------------------------------------------

size: all ## bytes by part and by target that was built
	@printf '%10s %10s %10s %10s  %s\n' text data bss stripped target; \
	for f in $(wildcard $(OUT)/aidash $(TARGETS:%=build/%/aidash)); do \
	    size $$f | awk -v stripped=$$(($$(wc -c < $$f))) -v name=$$f 'NR == 2 { printf "%10d %10d %10d %10d  %s\n", $$1, $$2, $$3, stripped, name }'; \
	done
	@awk '/bytes, [0-9]+ here/ { printf "%10d  %s\n", $$5, name = substr($$2, 1, length($$2) - 1); if (name != "/contract.json") sum += $$5 } \
	    END { printf "%10d  the page, in each of them: all but /contract.json\n", sum }' build/aidash_www.h

map: ## the parts of aidash.c, in its order, with their lines
	@sed -n 's/^#include "\(src\/.*\)"/\1/p' aidash.c | xargs wc -l

install: $(OUT)/package/aidash ## copy it, its manual page and its service to PREFIX (/usr/local), below DESTDIR
	@PREFIX="$(PREFIX)" DESTDIR="$(DESTDIR)" sh $(OUT)/package/install.sh --files

# ---- shipping ---------------------------------------------------------------------------

# A directory with all that goes to a board; install.sh in it does the rest.
PACKAGE := $(addprefix package/,install.sh aidash.service aidash.avahi aidash.conf aidash.1 aidash.bash) \
    LICENSE THIRD-PARTY.md README.md CHANGELOG.md
DOCS := $(wildcard docs/*)
$(OUT)/package/aidash: $(OUT)/aidash $(PACKAGE) $(DOCS)
	@rm -rf $(@D) && mkdir -p $(@D)/docs
	@cp $(PACKAGE) $(@D) && cp $(DOCS) $(@D)/docs && cp $< $@

deploy: ## make HOST=pi@raspberrypi.local run it as a service; ARGS="--upstream URL" goes to its config
	@MAKE="$(MAKE)" SSH="$(SSH)" sh package/deploy.sh "$(HOST)" $(ARGS)

release: ## tarballs for TARGETS, Debian packages, the one file, bill of materials, checksums; VERSION=x.y.z
	@MAKE="$(MAKE)" sh package/release.sh "$(VERSION)" $(TARGETS)

ifdef TOOLCHAIN
deb: $(OUT)/package/aidash
	@sh package/deb.sh $(OUT)/package $(TOOLCHAIN) build
else
deb: ## a Debian package, build/aidash_*.deb, for this machine or TOOLCHAIN
	@$(MAKE) --no-print-directory deb TOOLCHAIN=$(patsubst armv7l,armv7,$(shell uname -m))
endif

clean: ## remove what was built; what was fetched stays
	@find build -mindepth 1 -maxdepth 1 ! -name deps -exec rm -rf {} + 2>/dev/null || true

distclean: ## remove what was fetched, too
	@rm -rf build tests/node_modules

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

FORCE:
.PHONY: all $(TARGETS) dist run bridges fleet-bench fleet-cut test lint asan tsan fuzz fuzz-sockets soak page-soak kills gateways bench gateway-bench amalgamation toolchain types size map install deploy release deb clean distclean help FORCE
