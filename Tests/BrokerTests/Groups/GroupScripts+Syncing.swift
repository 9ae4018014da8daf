// SPDX-License-Identifier: Apache-2.0
//
// GroupScripts+Syncing.swift
// Transcripts: the sync phase: assignments are stored, then handed out.

extension GroupScript {
    static let syncing: [GroupScript] = [
        GroupScript(
            "a sync waits for the leader and missing members get nothing",
            """
            set delay=0
            join a v=3
              PreparingRebalance gen=0
              CompletingRebalance gen=1
              join a: ok a.1 gen=1 range leader=a.1 [a.1:a]
            join b v=3
              PreparingRebalance gen=1
            join c v=3
            join a
              CompletingRebalance gen=2
              join a: ok a.1 gen=2 range leader=a.1 [a.1:a b.1:b c.1:c]
              join b: ok b.1 gen=2 range leader=a.1
              join c: ok c.1 gen=2 range leader=a.1
            sync b
            sync c
            sync a assign=a:x,b:y
              store gen=2 [a.1:x b.1:y c.1:]
              Stable gen=2
              sync a: ok [x]
              sync b: ok [y]
              sync c: ok []
            describe
              Stable type=consumer protocol=range
              a.1 metadata=a assignment=x
              b.1 metadata=b assignment=y
              c.1 metadata=c assignment=
            """),
        GroupScript(
            "assignments are stored before anyone is told",
            """
            set delay=0
            hold
            join a v=3
              PreparingRebalance gen=0
              CompletingRebalance gen=1
              join a: ok a.1 gen=1 range leader=a.1 [a.1:a]
            sync a assign=a:x
              store gen=1 [a.1:x]
            heartbeat a
              ok
            describe
              CompletingRebalance type=consumer protocol=
              a.1 metadata= assignment=
            stored
              Stable gen=1
              sync a: ok [x]
            describe
              Stable type=consumer protocol=range
              a.1 metadata=a assignment=x
            """),
        GroupScript(
            "a refused store sends everyone back to the join",
            """
            set delay=0
            hold
            join a v=3
              PreparingRebalance gen=0
              CompletingRebalance gen=1
              join a: ok a.1 gen=1 range leader=a.1 [a.1:a]
            join b v=3
              PreparingRebalance gen=1
            join a
              CompletingRebalance gen=2
              join a: ok a.1 gen=2 range leader=a.1 [a.1:a b.1:b]
              join b: ok b.1 gen=2 range leader=a.1
            sync b
            sync a assign=a:x,b:y
              store gen=2 [a.1:x b.1:y]
            refused
              sync a: coordinatorNotAvailable
              sync b: coordinatorNotAvailable
              PreparingRebalance gen=2
            join a
            join b
              CompletingRebalance gen=3
              join a: ok a.1 gen=3 range leader=a.1 [a.1:a b.1:b]
              join b: ok b.1 gen=3 range leader=a.1
            """),
        GroupScript(
            "a second sync of the leader does not store again",
            """
            set delay=0
            hold
            join a v=3
              PreparingRebalance gen=0
              CompletingRebalance gen=1
              join a: ok a.1 gen=1 range leader=a.1 [a.1:a]
            sync a assign=a:x
              store gen=1 [a.1:x]
            sync a assign=a:y
              sync a: rebalanceInProgress
            stored
              Stable gen=1
              sync a: ok [x]
            describe
              Stable type=consumer protocol=range
              a.1 metadata=a assignment=x
            """),
        GroupScript(
            "a rebalance while assignments are being stored drops them",
            """
            set delay=0
            hold
            join a v=3
              PreparingRebalance gen=0
              CompletingRebalance gen=1
              join a: ok a.1 gen=1 range leader=a.1 [a.1:a]
            sync a assign=a:x
              store gen=1 [a.1:x]
            join b v=3
              sync a: rebalanceInProgress
              PreparingRebalance gen=1
            stored
            join a
              CompletingRebalance gen=2
              join a: ok a.1 gen=2 range leader=a.1 [a.1:a b.1:b]
              join b: ok b.1 gen=2 range leader=a.1
            sync a assign=a:x,b:y
              store gen=2 [a.1:x b.1:y]
            sync b
            stored
              Stable gen=2
              sync a: ok [x]
              sync b: ok [y]
            """),
        GroupScript(
            "sync after stable answers at once",
            """
            stable a
            sync a
              sync a: ok [x]
            """),
        GroupScript(
            "sync errors",
            """
            joined a
            sync nobody id=x gen=1
              sync nobody: unknownMemberID
            sync a gen=0
              sync a: illegalGeneration
            sync a gen=2
              sync a: illegalGeneration
            sync a type=connect
              sync a: inconsistentGroupProtocol
            sync a name=rr
              sync a: inconsistentGroupProtocol
            sync a type=consumer name=range assign=a:x
              store gen=1 [a.1:x]
              Stable gen=1
              sync a: ok [x]
            join b v=3
              PreparingRebalance gen=1
            sync a
              sync a: rebalanceInProgress
            """),
        GroupScript(
            "unchanged members rejoin in the sync phase with the same result",
            """
            joined a b
            join a
              join a: ok a.1 gen=2 range leader=a.1 [a.1:a b.1:b]
            join b
              join b: ok b.1 gen=2 range leader=a.1
            sync b
            sync a assign=a:x,b:y
              store gen=2 [a.1:x b.1:y]
              Stable gen=2
              sync a: ok [x]
              sync b: ok [y]
            """),
        GroupScript(
            "changed metadata in the sync phase rebalances and releases parked syncs",
            """
            joined a b
            sync b
            join a p=range:other
              sync b: rebalanceInProgress
              PreparingRebalance gen=2
            join b
              CompletingRebalance gen=3
              join a: ok a.1 gen=3 range leader=a.1 [a.1:other b.1:b]
              join b: ok b.1 gen=3 range leader=a.1
            """),
        GroupScript(
            "a new member in the sync phase rebalances",
            """
            stable a
            join b v=3
              PreparingRebalance gen=1
            join a
              CompletingRebalance gen=2
              join a: ok a.1 gen=2 range leader=a.1 [a.1:a b.1:b]
              join b: ok b.1 gen=2 range leader=a.1
            sync b
            join c v=3
              sync b: rebalanceInProgress
              PreparingRebalance gen=2
            join a
            join b
              CompletingRebalance gen=3
              join a: ok a.1 gen=3 range leader=a.1 [a.1:a b.1:b c.1:c]
              join b: ok b.1 gen=3 range leader=a.1
              join c: ok c.1 gen=3 range leader=a.1
            """),
        GroupScript(
            "members that do not sync in time are removed",
            """
            set delay=0
            join a v=3 session=60000
              PreparingRebalance gen=0
              CompletingRebalance gen=1
              join a: ok a.1 gen=1 range leader=a.1 [a.1:a]
            join b v=3 session=60000
              PreparingRebalance gen=1
            join a session=60000
              CompletingRebalance gen=2
              join a: ok a.1 gen=2 range leader=a.1 [a.1:a b.1:b]
              join b: ok b.1 gen=2 range leader=a.1
            sync a assign=a:x,b:y
              store gen=2 [a.1:x b.1:y]
              Stable gen=2
              sync a: ok [x]
            wait 29999
            wait 1
              @30000 removed b.1: didNotSync
              @30000 PreparingRebalance gen=2
            join a
              CompletingRebalance gen=3
              join a: ok a.1 gen=3 range leader=a.1 [a.1:a]
            """),
        GroupScript(
            "a leader that does not sync in time is removed and its followers rejoin",
            """
            set delay=0
            join a v=3 session=60000
              PreparingRebalance gen=0
              CompletingRebalance gen=1
              join a: ok a.1 gen=1 range leader=a.1 [a.1:a]
            join b v=3 session=60000
              PreparingRebalance gen=1
            join a session=60000
              CompletingRebalance gen=2
              join a: ok a.1 gen=2 range leader=a.1 [a.1:a b.1:b]
              join b: ok b.1 gen=2 range leader=a.1
            sync b
            wait 30000
              @30000 removed a.1: didNotSync
              @30000 sync b: rebalanceInProgress
              @30000 PreparingRebalance gen=2
            join b
              CompletingRebalance gen=3
              join b: ok b.1 gen=3 range leader=b.1 [b.1:b]
            """),
    ]
}
