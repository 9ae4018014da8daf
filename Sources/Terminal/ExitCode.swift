// SPDX-License-Identifier: Apache-2.0
//
// ExitCode.swift
// Every status that a Goulette process may end with; scripts depend on these numbers.

/// How a process ended, as its exit status tells it.
public enum ExitCode: Int32, CaseIterable, Sendable {
    /// Everything that was asked for was done.
    case done = 0
    /// The server refused, or the operation failed.
    case failed = 1
    /// Some of the items failed; each of them was listed.
    case partlyDone = 2
    /// The cluster answered and is not healthy.
    case unhealthy = 10
    /// Server: the data disk has no room to start.
    case diskFull = 20
    /// Server: the data directory is damaged and is not opened.
    case corruptData = 21
    /// The command line makes no sense.
    case usage = 64
    /// No broker could be reached.
    case unreachable = 69
    /// It may work when tried again: a deadline passed, or the data directory is locked.
    case tryAgain = 75
    /// The server knows who is asking and does not allow it.
    case notAuthorised = 77
    /// Server: the configuration has errors.
    case badConfiguration = 78
    /// The user pressed control-C.
    case interrupted = 130
}
