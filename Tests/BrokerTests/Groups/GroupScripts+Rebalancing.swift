// SPDX-License-Identifier: Apache-2.0
//
// GroupScripts+Rebalancing.swift
// Transcripts: the join phase: who waits for whom, and what the next generation looks like.

extension GroupScript {
    static let rebalancing: [GroupScript] = [
        GroupScript(
            "the leader gets everyone's metadata and followers none",
            """
            set delay=0
            join a v=3 p=range:sa
              PreparingRebalance gen=0
              CompletingRebalance gen=1
              join a: ok a.1 gen=1 range leader=a.1 [a.1:sa]
            join b v=3 p=range:sb
              PreparingRebalance gen=1
            join a
              CompletingRebalance gen=2
              join a: ok a.1 gen=2 range leader=a.1 [a.1:sa b.1:sb]
              join b: ok b.1 gen=2 range leader=a.1
            """),
        GroupScript(
            "most votes choose the protocol among those that suit everyone",
            """
            set delay=0
            join a v=3 p=range,rr,sticky
              PreparingRebalance gen=0
              CompletingRebalance gen=1
              join a: ok a.1 gen=1 range leader=a.1 [a.1:a]
            join b v=3 p=sticky,rr,range
              PreparingRebalance gen=1
            join c v=3 p=only,sticky,rr
            join a p=range,rr,sticky
              CompletingRebalance gen=2
              join a: ok a.1 gen=2 sticky leader=a.1 [a.1:a b.1:b c.1:c]
              join b: ok b.1 gen=2 sticky leader=a.1
              join c: ok c.1 gen=2 sticky leader=a.1
            join b p=sticky,rr,range
              join b: ok b.1 gen=2 sticky leader=a.1
            """),
        GroupScript(
            "the oldest member decides a tied vote",
            """
            set delay=0
            join a v=3 p=rr,range
              PreparingRebalance gen=0
              CompletingRebalance gen=1
              join a: ok a.1 gen=1 rr leader=a.1 [a.1:a]
            join b v=3 p=range,rr
              PreparingRebalance gen=1
            join a p=rr,range
              CompletingRebalance gen=2
              join a: ok a.1 gen=2 rr leader=a.1 [a.1:a b.1:b]
              join b: ok b.1 gen=2 rr leader=a.1
            """),
        GroupScript(
            "an unchanged follower rejoins a stable group without a rebalance",
            """
            joined a b
            sync a assign=a:x,b:y
              store gen=2 [a.1:x b.1:y]
              Stable gen=2
              sync a: ok [x]
            sync b
              sync b: ok [y]
            join b
              join b: ok b.1 gen=2 range leader=a.1
            sync b
              sync b: ok [y]
            heartbeat b
              ok
            """),
        GroupScript(
            "a follower with new metadata rebalances",
            """
            joined a b
            sync a assign=a:x,b:y
              store gen=2 [a.1:x b.1:y]
              Stable gen=2
              sync a: ok [x]
            sync b
              sync b: ok [y]
            join b p=range:other
              PreparingRebalance gen=2
            heartbeat a
              rebalanceInProgress
            join a
              CompletingRebalance gen=3
              join a: ok a.1 gen=3 range leader=a.1 [a.1:a b.1:other]
              join b: ok b.1 gen=3 range leader=a.1
            """),
        GroupScript(
            "the leader rejoining a stable group rebalances",
            """
            stable a
            join a
              PreparingRebalance gen=1
              CompletingRebalance gen=2
              join a: ok a.1 gen=2 range leader=a.1 [a.1:a]
            """),
        GroupScript(
            "members that do not rejoin in time are removed",
            """
            set delay=0
            join a v=3 session=60000
              PreparingRebalance gen=0
              CompletingRebalance gen=1
              join a: ok a.1 gen=1 range leader=a.1 [a.1:a]
            sync a assign=a:x
              store gen=1 [a.1:x]
              Stable gen=1
              sync a: ok [x]
            join b v=3 rebalance=5000
              PreparingRebalance gen=1
            heartbeat a
              rebalanceInProgress
            wait 29999
            wait 1
              @30000 removed a.1: didNotRejoin
              @30000 CompletingRebalance gen=2
              @30000 join b: ok b.1 gen=2 range leader=b.1 [b.1:b]
            heartbeat a
              unknownMemberID
            """),
        GroupScript(
            "the largest rebalance timeout counts",
            """
            set delay=0
            join a v=3 session=60000 rebalance=1000
              PreparingRebalance gen=0
              CompletingRebalance gen=1
              join a: ok a.1 gen=1 range leader=a.1 [a.1:a]
            join b v=3 session=60000 rebalance=5000
              PreparingRebalance gen=1
            join a
              CompletingRebalance gen=2
              join a: ok a.1 gen=2 range leader=a.1 [a.1:a b.1:b]
              join b: ok b.1 gen=2 range leader=a.1
            sync a assign=a:x,b:y
              store gen=2 [a.1:x b.1:y]
              Stable gen=2
              sync a: ok [x]
            sync b
              sync b: ok [y]
            join a
              PreparingRebalance gen=2
            heartbeat b
              rebalanceInProgress
            wait 4999
            wait 1
              @5000 removed b.1: didNotRejoin
              @5000 CompletingRebalance gen=3
              @5000 join a: ok a.1 gen=3 range leader=a.1 [a.1:a]
            """),
        GroupScript(
            "another leader is elected when the old one does not rejoin",
            """
            set delay=0
            join a v=3 session=60000
              PreparingRebalance gen=0
              CompletingRebalance gen=1
              join a: ok a.1 gen=1 range leader=a.1 [a.1:a]
            join b v=3 session=60000
              PreparingRebalance gen=1
            join a
              CompletingRebalance gen=2
              join a: ok a.1 gen=2 range leader=a.1 [a.1:a b.1:b]
              join b: ok b.1 gen=2 range leader=a.1
            sync a assign=a:x,b:y
              store gen=2 [a.1:x b.1:y]
              Stable gen=2
              sync a: ok [x]
            sync b
              sync b: ok [y]
            join b p=range:new
              PreparingRebalance gen=2
            wait 30000
              @30000 removed a.1: didNotRejoin
              @30000 CompletingRebalance gen=3
              @30000 join b: ok b.1 gen=3 range leader=b.1 [b.1:new]
            """),
        GroupScript(
            "a reserved id holds up a rebalance until it is used",
            """
            stable a
            join b
              join b: memberIDRequired b.1
            join a
              PreparingRebalance gen=1
            join b
              CompletingRebalance gen=2
              join a: ok a.1 gen=2 range leader=a.1 [a.1:a b.1:b]
              join b: ok b.1 gen=2 range leader=a.1
            """),
        GroupScript(
            "a reserved id that lapses lets the rebalance go on",
            """
            stable a
            join b session=6000
              join b: memberIDRequired b.1
            join a
              PreparingRebalance gen=1
            wait 6000
              @6000 CompletingRebalance gen=2
              @6000 join a: ok a.1 gen=2 range leader=a.1 [a.1:a]
            """),
        GroupScript(
            "a reserved id that leaves lets the rebalance go on",
            """
            stable a
            join b
              join b: memberIDRequired b.1
            join a
              PreparingRebalance gen=1
            leave b
              ok
              CompletingRebalance gen=2
              join a: ok a.1 gen=2 range leader=a.1 [a.1:a]
            """),
        GroupScript(
            "a second join of the same member replaces the parked one",
            """
            stable a
            join b v=3
              PreparingRebalance gen=1
            join b id=b-00000000-0000-4000-8000-000000000002
              join b: rebalanceInProgress
            join a
              CompletingRebalance gen=2
              join a: ok a.1 gen=2 range leader=a.1 [a.1:a b.1:b]
              join b: ok b.1 gen=2 range leader=a.1
            """),
    ]
}
