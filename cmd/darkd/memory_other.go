//go:build !linux

package main

func collectLess() {}

func keepToMemory() {}
