// The whole C++ API of dask-native: delayed, schedulers, configuration, Client, Future, LocalCluster, ProgressBar, visualize.
#pragma once

#include "dask/client.h"
#include "dask/config.h"
#include "dask/delayed.h"
#include "dask/errors.h"
#include "dask/init.h"
#include "dask/local_cluster.h"
#include "dask/progress_bar.h"
