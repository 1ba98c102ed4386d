// dask::init: comes first in main(). The schedulers "processes" and LocalCluster start this same program again for their workers;
// in such a child init() never returns.
#pragma once

namespace dask {

// Checks that task functions have distinct names (prints what collides and ends the program when not).
void init(int argc, char** argv);

}  // namespace dask
