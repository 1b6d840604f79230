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
TARGET_NEEDS := $(MUSL_DIR)/static-pie.specs
ifeq ($(shell uname -m),$(firstword $(subst -, ,$(CROSS))))
TARGET_RUN :=
endif

# -Os: what aidash computes is little beside what the kernel does for it. A board that wants speed first sets -O2 itself.
# musl has no checked copies: -D_FORTIFY_SOURCE does nothing here. What it relocates at the start, src/app/main.c protects, as
# musl itself does that in its dynamic loader alone.
TARGET_CFLAGS := -specs=$(MUSL_DIR)/static-pie.specs -Wno-cpp -Os $(TARGET_CFLAGS)
TARGET_LDFLAGS := -static-pie

$(MUSL_DIR)/gcc.specs: | build/deps/.tools-$(CC)
	@$(FETCH) musl build/deps/musl $(CROSS) $(TARGET_ARCH) $(MUSL)

# The specs that musl brings know programs at a fixed address only.
$(MUSL_DIR)/static-pie.specs: $(MUSL_DIR)/gcc.specs
	@sed 's|^%{!shared: \(.*\)/Scrt1.o}|%{static-pie:\1/rcrt1.o;!shared:\1/Scrt1.o}|; s|%{static:-static}|& %{static-pie:-static -pie --no-dynamic-linker -z text}|' $< > $@
