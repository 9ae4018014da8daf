// SPDX-License-Identifier: Apache-2.0
//
// CompletionOwner.swift
// The event loop a log belongs to; the store's threads hand their completions to it in batches.

public import NIOCore

/// The event loop that owns logs. Make one for each loop and share it between the loop's logs.
public final class CompletionOwner: Sendable {
    /// The loop that the logs are confined to.
    public let eventLoop: any EventLoop

    /// An owner for the logs of `eventLoop`.
    public init(eventLoop: any EventLoop) { self.eventLoop = eventLoop }
}
