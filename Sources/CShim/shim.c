#include "tracefwd_shim.h"
