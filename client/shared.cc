// libdask-native: everything behind <dask/dask.h> as one shared library, so that a program of users needs none of the libraries that
// we are built with. This file is empty on purpose: the library is made of the others.
