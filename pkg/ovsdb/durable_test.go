package ovsdb

func writerMain(dir string) {}
