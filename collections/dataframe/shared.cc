// libdask-native-dataframe: everything behind <dask/dataframe.h> as a shared library beside libdask-native, so that a program of users
// needs neither the repository nor Arrow's headers. This file is empty on purpose: the library is made of the others.
