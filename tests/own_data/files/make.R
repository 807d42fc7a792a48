# Write the files of this folder that programs of R write, after make.py.
suppressMessages({
  library(SeuratObject)
  library(SingleCellExperiment)
  library(MultiAssayExperiment)
  library(DropletUtils)
})
read <- function(path) t(as.matrix(read.csv(path, row.names = 1, check.names = FALSE)))
rna <- read("counts.csv")
ephys <- as.data.frame(t(read("ephys.csv")))
adt <- read("proteins.csv")

# Cell Ranger: one matrix, in which a symbol stands for two genes
both <- as(rbind(rna, adt), "dgCMatrix")
write <- function(path, type) write10xCounts(
  path, both, gene.id = rownames(both), gene.symbol = c("TBCE", "TBCE", rownames(both)[-(1:2)]),
  gene.type = rep(c("Gene Expression", "Antibody Capture"), c(nrow(rna), nrow(adt))),
  version = "3", type = type, overwrite = TRUE
)
write("filtered_feature_bc_matrix", "sparse")
write("filtered_feature_bc_matrix.h5", "HDF5")

save(ephys, file = "mine.RData")
write.table(ephys, "ephys_spaces.txt")

# What the lines of docs/own_data.md write
object <- CreateSeuratObject(as(rna, "dgCMatrix"))
object[["ADT"]] <- CreateAssayObject(as(adt, "dgCMatrix"))
write.csv(as.matrix(GetAssayData(object[["RNA"]], "counts")), "seurat_counts.csv")
write.csv(as.matrix(GetAssayData(object[["ADT"]], "counts")), "seurat_proteins.csv")
write.csv(object[[]], "seurat_labels.csv")

object <- SingleCellExperiment(list(counts = rna))
altExp(object, "ADT") <- SummarizedExperiment(list(counts = adt))
write.csv(as.matrix(assay(object, "counts")), "sce_counts.csv")
write.csv(as.matrix(assay(altExp(object, "ADT"), "counts")), "sce_proteins.csv")

patients <- sprintf("TCGA-OR-A5J%s", LETTERS[seq_len(ncol(rna))])
colnames(rna) <- paste0(patients, "-01A-11R-A29S-07")
colnames(adt) <- paste0(patients, "-01A-2", seq_along(patients) %% 3, "-A39K-20")
object <- MultiAssayExperiment(
  list(RNASeq2GeneNorm = rna, RPPAArray = log2(adt[, rev(colnames(adt))] + 1)),
  DataFrame(row.names = patients),
  DataFrame(
    assay = factor(rep(c("RNASeq2GeneNorm", "RPPAArray"), each = length(patients))),
    primary = rep(patients, 2), colname = c(colnames(rna), colnames(adt))
  )
)
write.csv(assay(object[["RNASeq2GeneNorm"]]), "tcga_rna.csv")
write.csv(assay(object[["RPPAArray"]]), "tcga_proteins.csv")
