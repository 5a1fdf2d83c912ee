#pragma once

#define REFERENCE_MAILBOX_INIT_EMPTY 1
#include "reference_mailbox.h"
