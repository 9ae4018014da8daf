// SPDX-License-Identifier: Apache-2.0
//
// Raft.swift
// The namespace of the consensus core, with the rules that hold between it and the shell that runs it.

/// Raft as a value: ``Raft/Instance`` holds the state of one replica of one group and decides; a *shell* does the work.
///
/// The instance performs no I/O, reads no clock, starts no task and writes no log. Every entry point changes the value
/// and appends ``Raft/Directive``s to a buffer; the shell carries them out and reports what happened through other
/// entry points. The same inputs always give the same outputs; the only randomness is a generator seeded at `init`.
///
/// **Terms.** *Appended*: in the log of a replica, perhaps only in memory. *Flushed*: on stable storage there.
/// *Committed*: flushed on a quorum, with an entry of the leader's own term at or above it. On every replica
///
///     base <= committed <= appended          base <= flushed <= appended
///
/// and on the leader, for each peer, `match < next` where `match` counts only what the peer has flushed.
///
/// **What differs from the paper, and why.**
/// - Elections are preceded by a pre-vote, and a leader that hears no quorum for an election timeout steps down. The
///   two belong together: pre-vote alone can leave a group without a leader under one-way partitions.
/// - Storage is asynchronous. A leader sends entries while it writes them itself, and counts itself only when its own
///   write is reported. Votes and replies wait in the instance until the hard state they reveal is reported durable.
/// - Joint consensus is the only way to change voters. A configuration takes effect when it is appended.
/// - The log keeps no payload that is flushed. A follower that needs older entries is served from the shell's storage
///   (``Raft/Directive/needEntries(_:)``).
/// - A replica that lost its disk (*amnesiac*) neither votes nor leads nor counts until removed and added anew;
///   one with damaged entries (*corrupt*) never leads and acknowledges nothing from the damage on.
///
/// Sources: D. Ongaro, "Consensus: Bridging Theory and Practice" (2014), chapters 3, 4, 6 and 9.
public enum Raft {}
