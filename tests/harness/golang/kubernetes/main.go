// One binary that is every program of a small Kubernetes cluster, chosen by the name it is called by (symbolic
// links stand beside it, so that the folder looks like one of KUBEBUILDER_ASSETS).
//
// The programs share nearly all of their code, so linking them once takes a third of the time and of the disk
// that six binaries would. It needs no change from one Kubernetes release to the next: see kubeletCommand.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	"k8s.io/kubectl/pkg/cmd/util"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllermanager "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

func main() {
	switch program := filepath.Base(os.Args[0]); program {
	case "etcd":
		etcdmain.Main(os.Args)
	case "kube-apiserver":
		os.Exit(cli.Run(apiserver.NewAPIServerCommand()))
	case "kube-controller-manager":
		os.Exit(cli.Run(controllermanager.NewControllerManagerCommand()))
	case "kube-scheduler":
		os.Exit(cli.Run(scheduler.NewSchedulerCommand()))
	case "kubelet":
		os.Exit(cli.Run(kubeletCommand(kubelet.NewKubeletCommand)))
	case "kubectl":
		if err := cli.RunNoErrOutput(kubectl.NewDefaultKubectlCommand()); err != nil {
			util.CheckErr(err)
		}
	default:
		fmt.Fprintf(os.Stderr, "%s: call this binary by the name of a Kubernetes program or of etcd\n", program)
		os.Exit(2)
	}
}

// kubeletCommand calls the constructor as this release declares it: from 1.35 on it takes a context.
func kubeletCommand(constructor any) *cobra.Command {
	switch construct := constructor.(type) {
	case func() *cobra.Command:
		return construct()
	case func(context.Context) *cobra.Command:
		return construct(context.Background())
	default:
		panic(fmt.Sprintf("this release's NewKubeletCommand is a %T", constructor))
	}
}
