# What the static musl targets share: Debian's cross compiler, with the target's own musl in place of glibc.
#   TARGET       aarch64-linux: the triplet up to the C library
#   TARGET_ABI   eabihf: what follows the C library's name
#   TARGET_ARCH  arm64: Debian's name of the architecture
CC := $(TARGET)-gnu$(TARGET_ABI)-gcc
STRIP := $(TARGET)-gnu$(TARGET_ABI)-strip
TARGET_RUN := qemu-$(firstword $(subst -, ,$(TARGET)))-static
MUSL := build/deps/foreign/$(TARGET_ARCH)
TARGET_CFLAGS := -specs=$(MUSL)/musl-gcc.specs -Wno-cpp
TARGET_LDFLAGS := -static
TARGET_NEEDS := $(MUSL)/musl-gcc.specs

# musl's own specs file, with the place where it was unpacked.
$(MUSL)/musl-gcc.specs:
	@sh toolchains/fetch.sh foreign build/deps/foreign $(TARGET_ARCH) musl-dev
	@sed 's|/usr/|$(MUSL)/usr/|g' $(MUSL)/usr/lib/*/musl-gcc.specs > $@
