# Search hyperparameters on the slides to learn from: jobs share one journal, one of them concludes.
rule worker:
    input:
        learn=f"{OUT}/complete/grids-to-learn.csv",
        # Looked at by the conclusion alone.
        test=ancient(f"{OUT}/complete/grids-to-test.csv"),
        slides=ancient(f"{OUT}/slides.csv"),
        config=SEARCHING,
    output:
        touch(f"{OUT}/search/workers/{{worker}}.done"),
    log:
        f"{OUT}/logs/search/{{worker}}.log",
    params:
        grids=f"{OUT}/grids",
        out=f"{OUT}/search/study",
    threads: 4
    resources:
        mem_mb=lambda wildcards, attempt: 16000 * attempt,
        runtime=720,
        gpu=config["gpu"],
    conda:
        "../envs/histocnn.yaml"
    # A worker lost with its node leaves a trial that another one begins again.
    shell:
        "env -u SLURM_NTASKS histocnn search --config {input.config:q} --data.patches {params.grids:q}"
        " --data.slides {input.slides:q} --out {params.out:q} --worker > {log:q} 2>&1"


rule conclude:
    input:
        workers=[f"{OUT}/search/workers/{i}.done" for i in range(config["search_workers"])],
        slides=ancient(f"{OUT}/slides.csv"),
        config=SEARCHING,
    output:
        f"{OUT}/search/study/search.html",
    log:
        f"{OUT}/logs/search/conclude.log",
    params:
        grids=f"{OUT}/grids",
        out=subpath(output[0], parent=True),
    threads: 4
    resources:
        mem_mb=lambda wildcards, attempt: 16000 * attempt,
        runtime=720,
        gpu=config["gpu"],
    conda:
        "../envs/histocnn.yaml"
    shell:
        "env -u SLURM_NTASKS histocnn search --config {input.config:q} --data.patches {params.grids:q}"
        " --data.slides {input.slides:q} --out {params.out:q} > {log:q} 2>&1"
