"""dask_native: Dask's scheduler in C++, for Python users.

    from dask.distributed import Client
    from dask_native import LocalCluster

    client = Client(LocalCluster())

Names are loaded when they are first used: the graph helper imports this package too and needs none of them.
"""

__version__ = "0.1.0"
__all__ = ["LocalCluster"]


def __getattr__(name):
    if name == "LocalCluster":
        from dask_native.local_cluster import LocalCluster

        return LocalCluster
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
