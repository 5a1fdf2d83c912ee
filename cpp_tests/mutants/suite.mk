# One file of a C++ suite as a program of its own, against the library in $(LIBRARY); see suite.sh.
#
#   make -f cpp_tests/mutants/suite.mk SUITE=compat/freeze OUT=directory LIBRARY=liblanepipe.a

DIRECTORY := $(patsubst %/,%,$(dir $(SUITE)))
PROGRAM := $(OUT)/$(SUITE)

# As in the CMake files: behind lanepipe's headers the references fill in for what is not replaced.
INCLUDES := -Iinclude -Icpp_tests -Icpp_tests/runtime -Icpp_tests/reference
OBJECTS := $(OUT)/$(SUITE)_test.o $(OUT)/runtime/unified_log.o $(OUT)/runtime/profiling_copy.o
LINKFLAGS := -pthread
ifeq ($(DIRECTORY),compat)
INCLUDES := -Iinclude/lanepipe/compat -Icpp_tests/compat $(INCLUDES)
OBJECTS += $(OUT)/compat/support.o
DEFINES := -DCOMPAT_WRAPS_FREE
LINKFLAGS += -Wl,--wrap=free
endif
# One variant stands for all.
ifeq ($(DIRECTORY),mailbox)
VARIANT := a2a3_host_build_graph
DROP_IN := include/lanepipe/compat/mailbox/$(VARIANT)
INCLUDES := -I$(DROP_IN)/mailbox -I$(DROP_IN)/wait -Icpp_tests/runtime/scheduler -Icpp_tests/runtime/$(VARIANT) \
    -Icpp_tests/mailbox $(INCLUDES)
endif
ifeq ($(DIRECTORY),device)
INCLUDES := -Iinclude/lanepipe/compat -Icpp_tests/runtime/device -Icpp_tests/device $(INCLUDES)
OBJECTS += $(OUT)/runtime/device/platform_hooks.o
endif
ifeq ($(DIRECTORY),demo)
INCLUDES := -Iinclude -Iexamples -Iexamples/common
PARTS := $(filter-out %/main.cpp,$(wildcard examples/common/*.cpp examples/profile/*.cpp))
OBJECTS := $(OUT)/$(SUITE)_test.o $(PARTS:%.cpp=$(OUT)/%.o)
DEFINES := -DLANEPIPE_DATA_DIR='"data"'
endif
# One architecture stands for both.
ifeq ($(DIRECTORY),subsystems)
INCLUDES := -Icpp_tests/device $(INCLUDES)
endif

$(PROGRAM): $(OBJECTS) $(LIBRARY)
	$(CXX) $(LINKFLAGS) -o $@ $^ -lgtest_main -lgtest -ldl

$(OUT)/%.o: cpp_tests/%.cpp
	@mkdir -p $(@D)
	$(CXX) -std=c++17 -O0 -pthread -MMD -MP $(DEFINES) $(INCLUDES) -c -o $@ $<

$(OUT)/examples/%.o: examples/%.cpp
	@mkdir -p $(@D)
	$(CXX) -std=c++17 -O0 -pthread -MMD -MP $(DEFINES) $(INCLUDES) -c -o $@ $<

-include $(OBJECTS:.o=.d)
