// The graph helper's interpreter and folder.
#include "core/runtime/python_location.h"

#include "scheduler/graph/graph_service.h"

namespace dask::scheduler {

std::string default_python() { return find_python(); }
std::string default_python_path() { return find_python_path("dask_native/graph_helper.py"); }

}  // namespace dask::scheduler
