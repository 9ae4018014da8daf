// SPDX-License-Identifier: Apache-2.0
//
// GroupLog+Snapshot.swift
// What the shell needs of a log for snapshots: make and read them here, stage and install them there.

public import Model
public import NIOCore

/// A log that snapshots are made of, and that a snapshot can replace.
///
/// Completions run on the owner's loop, never inside the call.
public protocol SnapshotLog: GroupLog {
    /// Describes what the log holds up to an entry not above `last`, and keeps its files until ``releaseSnapshot()``; one
    /// at a time.
    ///
    /// `configurations` are the memberships along the log, oldest first.
    func makeSnapshot(
        through last: LogIndex, configurations: [ConfigurationRecord],
        completion: @escaping (Result<LogSnapshot, StoreError>) -> Void)
    /// Reads a piece of the snapshot that was made last.
    func readSnapshot(
        _ snapshot: LogSnapshot, file: Int, from position: Int, count: Int,
        completion: @escaping (Result<ByteBuffer, StoreError>) -> Void)
    /// Lets retention go on.
    func releaseSnapshot()

    /// Makes ready to receive a snapshot; the answer is how much of each file is there already.
    func stage(_ snapshot: LogSnapshot, completion: @escaping (Result<[Int], StoreError>) -> Void)
    /// Adds bytes at the end of a staged file, checking the frames in them.
    func addStaged(
        _ bytes: ByteBuffer, file: Int, at position: Int, completion: @escaping (Result<Void, StoreError>) -> Void)
    /// Checks some more of what was staged; the answer is whether all of it is there and right.
    func checkStaged(completion: @escaping (Result<Bool, StoreError>) -> Void)
    /// Replaces the log by what was staged and checked, durably.
    ///
    /// Nothing may be appended meanwhile. An error is final: the store has stopped.
    func installStaged(completion: @escaping (Result<Void, StoreError>) -> Void)
}
