# What the targets share: the distribution's compiler for them, and static musl in place of its glibc. A target sets
#   CROSS          aarch64-linux-gnu: what the compiler's name begins with
#   TARGET_ARCH    arm64: the distribution's name of the architecture
#   TARGET_CFLAGS  -mcpu=cortex-a76: what code for just this CPU gains
#   TARGET_LIBS    -latomic: libraries that code for this CPU calls
#   TARGET_RUN     qemu-aarch64-static: what runs the program on another CPU
# musl is the distribution's package of it, unpacked and not installed; where there is none for the target, it is built from
# the distribution's source package. MUSL=DIR takes a source tree of your own.
CC := $(CROSS)-gcc
STRIP := $(CROSS)-strip
AR := $(CROSS)-ar
MUSL_DIR := build/deps/musl/$(CROSS)
TARGET_NEEDS := $(MUSL_DIR)/gcc.specs
ifeq ($(shell uname -m),$(firstword $(subst -, ,$(CROSS))))
TARGET_RUN :=
endif

# -Os: what aidash computes is little beside what the kernel does for it. A board that wants speed first sets -O2 itself.
# musl protects relocated data in its dynamic loader alone: in a static program RELRO is padding, up to 64 kB on arm64.
TARGET_CFLAGS := -specs=$(MUSL_DIR)/gcc.specs -Wno-cpp -fno-pie -Os $(TARGET_CFLAGS)
TARGET_LDFLAGS := -static -Wl,-z,norelro

$(MUSL_DIR)/gcc.specs: | build/deps/.tools-$(CC)
	@$(FETCH) musl build/deps/musl $(CROSS) $(TARGET_ARCH) $(MUSL)
